//! Whatever the bytes, reading them as a bzImage ends, does not panic, and gives nothing
//! but an ELF file; the release is a word of the bytes.
//!
//! `cargo test -p pintle-image --test boot` runs the same over seeded mutations.
#![no_main]

#[path = "../../image/tests/boot/invariants/vmlinuz.rs"]
mod invariant;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    invariant::check(bytes);
});
