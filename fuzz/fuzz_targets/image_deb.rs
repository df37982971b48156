//! Whatever the bytes, reading them as a Debian package ends, does not panic, and shows
//! only files with paths of a sane length and with as much content as is announced.
//!
//! `cargo test -p pintle-image --test boot` runs the same over seeded mutations.
#![no_main]

#[path = "../../image/tests/boot/invariants/deb.rs"]
mod invariant;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    invariant::check(bytes);
});
