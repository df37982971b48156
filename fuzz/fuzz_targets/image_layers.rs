//! Any bytes, as two layers, are merged to a tree whose link counts, names and data hold together,
//! or refused; it never panics.
//!
//! `cargo test -p pintle-image --test source` runs the same over seeded mutations.
#![no_main]

#[path = "../../image/tests/source/invariants.rs"]
#[allow(dead_code, reason = "the other targets use the rest")]
mod invariants;
#[path = "../../image/tests/source/tarball.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod tarball;

libfuzzer_sys::fuzz_target!(|layers: (&[u8], &[u8])| {
    invariants::layers_are_merged_or_refused(&[layers.0, layers.1]);
});
