//! Whatever the frames and their table, no block is written that is not the release's. It never
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
    invariants::a_seek_table_has_one_encoding(bytes);
    invariants::frames_write_nothing_wrong(bytes);
});
