//! Whatever the bytes, reading them as an EROFS image ends, does not panic, and finds no more names
//! than the image has room for.
//!
//! `cargo test -p pintle-image --test image` runs the same over seeded mutations.
#![no_main]

#[path = "../../image/tests/image/invariant.rs"]
mod invariant;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    invariant::check(bytes);
});
