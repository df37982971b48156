//! Any bytes are refused, or are a configuration that can be written and read back. It never
//! panics, and reserves no memory for lengths that lie.
//!
//! `cargo test -p pintle-config --test mutations` runs the same over seeded mutations.
#![no_main]

#[path = "../../config/tests/invariants/mod.rs"]
#[allow(dead_code, reason = "the other targets use the rest")]
mod invariants;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    invariants::bytes_decode_or_are_refused(bytes);
});
