//! Whatever the delta, the machine has the release in the end, by the blocks if not by it. It never
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
    invariants::a_delta_makes_the_image_or_is_left(bytes);
});
