//! A line of any text tells of a corrupt block or does not; one that does names its device.
//!
//! `cargo test -p pintle-mount --test mutations` runs the same over seeded mutations.
#![no_main]

#[path = "../../mount/tests/invariants/mod.rs"]
#[allow(dead_code, reason = "the other targets use the rest")]
mod invariants;

libfuzzer_sys::fuzz_target!(|line: &str| {
    invariants::lines_tell_of_corruption_or_not(line);
});
