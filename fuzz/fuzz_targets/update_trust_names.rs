//! Any lines as the names in `trust/` are understood or told as unknown, and what is then written
//! there is understood: the floor never falls, what is bad is known as bad, and there is one mark.
//! It never panics.
//!
//! `cargo test -p pintle-update --test mutations` runs the same over seeded mutations.
#![no_main]

#[path = "../../update/tests/invariants/mod.rs"]
#[allow(dead_code, reason = "the other targets use the rest")]
mod invariants;

libfuzzer_sys::fuzz_target!(|text: &str| {
    invariants::trust_is_read_in_one_way(text);
});
