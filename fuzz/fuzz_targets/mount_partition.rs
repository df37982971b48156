//! A disk of any bytes gives a partition a UUID or none, and is not read beyond its end.
//!
//! `cargo test -p pintle-mount --test mutations` runs the same over seeded mutations.
#![no_main]

#[path = "../../mount/tests/invariants/mod.rs"]
#[allow(dead_code, reason = "the other targets use the rest")]
mod invariants;

libfuzzer_sys::fuzz_target!(|input: (u32, &[u8])| {
    invariants::partitions_have_uuids_or_not(input.1, input.0);
});
