//! Any bytes are an index or a release's manifest, or refused, and stay the same when they are written again. It never
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
    invariants::an_index_stays_the_same(bytes);
    invariants::a_manifest_stays_the_same(bytes);
});
