//! Any text that is a time zone rule to jiff is one to this crate, and clocks that go by it show the
//! same for both. It never panics.
//!
//! `cargo test -p pintle-update --test mutations` runs the same over seeded mutations.
#![no_main]

#[path = "../../update/tests/invariants/mod.rs"]
#[allow(dead_code, reason = "the other targets use the rest")]
mod invariants;

libfuzzer_sys::fuzz_target!(|text: &str| {
    invariants::zones_go_as_jiff_says(text);
});
