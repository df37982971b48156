//! Any tar file is an archive of a layout, or refused. It never
//! panics.
//!
//! `cargo test -p pintle-transfer --test mutations` runs the same over seeded mutations.
#![no_main]

#[path = "../../transfer/tests/invariants/mod.rs"]
#[allow(dead_code, reason = "the other targets use the rest")]
mod invariants;
#[path = "../../transfer/tests/support/mod.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    invariants::an_archive_is_read_or_refused(bytes);
});
