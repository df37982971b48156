//! Any text is refused, or is a key that stays the same when it is written and read again. It never
//! panics, whatever the bytes.
//!
//! `cargo test -p pintle-verify --test mutations` runs the same over seeded mutations.
#![no_main]

#[path = "../../verify/tests/invariants/mod.rs"]
#[allow(dead_code, reason = "the other targets use the rest")]
mod invariants;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    invariants::pem_key_stays_the_same_key(bytes);
});
