//! Whatever the kernel lists as mounted, the plan of taking it down ends, and spares what the end of
//! the machine needs.
//!
//! `cargo test -p pintle-mount --test mutations` runs the same over seeded mutations.
#![no_main]

#[path = "../../mount/tests/invariants/mod.rs"]
#[allow(dead_code, reason = "the other targets use the rest")]
mod invariants;

libfuzzer_sys::fuzz_target!(|mountinfo: &str| {
    invariants::plans_end_and_spare_what_is_needed(mountinfo);
});
