//! Whatever an image's passwd and group hold, a service's user is found in them, by a number that is
//! one, or it is explained that there is none. It never panics.
//!
//! `cargo test -p pintle-config --test mutations` runs the same over seeded mutations.
#![no_main]

#[path = "../../config/tests/invariants/mod.rs"]
#[allow(dead_code, reason = "the other targets use the rest")]
mod invariants;

libfuzzer_sys::fuzz_target!(|files: &[u8]| {
    invariants::accounts_are_found_or_missed(files);
});
