//! Any name of an entry is about something inside the image, whiteouts too, or refused; it never
//! panics.
//!
//! `cargo test -p pintle-image --test source` runs the same over seeded mutations.
#![no_main]

#[path = "../../image/tests/source/invariants.rs"]
#[allow(dead_code, reason = "the other targets use the rest")]
mod invariants;
#[path = "../../image/tests/source/tarball.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod tarball;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    invariants::names_stay_inside(bytes);
});
