//! Whatever the bytes, reading them as a kernel module ends, does not panic, and finds
//! nothing that the bytes do not hold.
//!
//! `cargo test -p pintle-image --test boot` runs the same over seeded mutations.
#![no_main]

#[path = "../../image/tests/boot/invariants/modinfo.rs"]
mod invariant;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    invariant::check(bytes);
});
