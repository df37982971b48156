//! Any bytes are read as PAX records, whose values are within Linux's limits, or refused; it never
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
    invariants::pax_records_are_read_or_refused(bytes);
});
