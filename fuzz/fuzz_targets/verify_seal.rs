//! No bytes are believed but those that the trusted key signed, and what is readable at all says the
//! same when it is written again. It never panics, whatever the bytes.
//!
//! `cargo test -p pintle-verify --test mutations` runs the same over seeded mutations.
#![no_main]

#[path = "../../verify/tests/invariants/mod.rs"]
#[allow(dead_code, reason = "the other targets use the rest")]
mod invariants;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    invariants::what_is_believed_was_signed(bytes);
});
