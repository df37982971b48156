//! Any bytes are refused, or are the one tree file of the seal; a superblock has one encoding. It
//! never panics, whatever the bytes.
//!
//! `cargo test -p pintle-verify --test mutations` runs the same over seeded mutations.
#![no_main]

#[path = "../../verify/tests/invariants/mod.rs"]
#[allow(dead_code, reason = "the other targets use the rest")]
mod invariants;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    invariants::tree_file_is_the_one_of_its_seal(bytes);
});
