//! Any text is a reference, credentials, or files that names come from, or refused; what is read can be used. It never
//! panics.
//!
//! `cargo test -p pintle-registry --test mutations` runs the same over seeded mutations.
#![no_main]

#[path = "../../registry/tests/invariants/mod.rs"]
#[allow(dead_code, reason = "the other targets use the rest")]
mod invariants;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    invariants::a_reference_stays_the_same(bytes);
    invariants::credentials_are_read_or_refused(bytes);
    invariants::names_are_bounded(bytes);
});
