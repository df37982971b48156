//! Any datagram is the answer to the question, or nobody's, and has few addresses. It never
//! panics.
//!
//! `cargo test -p pintle-registry --test mutations` runs the same over seeded mutations.
#![no_main]

#[path = "../../registry/tests/invariants/mod.rs"]
#[allow(dead_code, reason = "the other targets use the rest")]
mod invariants;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    invariants::a_reply_is_bounded(bytes);
});
