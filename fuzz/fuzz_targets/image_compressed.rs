//! Any bytes, as a compressed layer, are refused or unpack to the bytes that the layer is named by;
//! it never panics.
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
    invariants::compressed_layers_are_what_they_are_called(bytes);
});
