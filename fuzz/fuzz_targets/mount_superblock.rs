//! A block of any bytes is the superblock of a known file system or is not; one that is made whole again
//! is whole, and is the same file system.
//!
//! `cargo test -p pintle-mount --test mutations` runs the same over seeded mutations.
#![no_main]

#[path = "../../mount/tests/invariants/mod.rs"]
#[allow(dead_code, reason = "the other targets use the rest")]
mod invariants;

libfuzzer_sys::fuzz_target!(|block: &[u8]| {
    invariants::superblocks_are_known_or_not(block);
});
