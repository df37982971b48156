//! A pattern fits a modalias exactly where a matcher that tries everything says so.
//!
//! `cargo test -p pintle-mount --test mutations` runs the same over seeded mutations.
#![no_main]

#[path = "../../mount/tests/invariants/mod.rs"]
#[allow(dead_code, reason = "the other targets use the rest")]
mod invariants;

libfuzzer_sys::fuzz_target!(|input: (&str, &str)| {
    invariants::globs_agree_with_trying_everything(input.0, input.1);
});
