//! Any bytes are refused, or are the one encoding of a key set. It never panics, and reserves no
//! memory for counts that lie.
//!
//! `cargo test -p pintle-verify --test mutations` runs the same over seeded mutations.
#![no_main]

#[path = "../../verify/tests/invariants/mod.rs"]
#[allow(dead_code, reason = "the other targets use the rest")]
mod invariants;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    invariants::key_set_has_one_encoding(bytes);
});
