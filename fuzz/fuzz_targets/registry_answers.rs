//! Any text is a challenge or a content range, or refused, and what is read is within its limits. It never
//! panics.
//!
//! `cargo test -p pintle-registry --test mutations` runs the same over seeded mutations.
#![no_main]

#[path = "../../registry/tests/invariants/mod.rs"]
#[allow(dead_code, reason = "the other targets use the rest")]
mod invariants;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    invariants::challenges_are_read_or_refused(bytes);
    invariants::a_content_range_is_within_its_whole(bytes);
});
