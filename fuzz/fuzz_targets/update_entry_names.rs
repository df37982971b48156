//! Any lines as the names in `images/` are entries, each with one spelling that stays a name
//! whatever happens to the entry, or are told as none; the selection tries every entry exactly once
//! and does not depend on the order of the listing. It never panics.
//!
//! `cargo test -p pintle-update --test mutations` runs the same over seeded mutations.
#![no_main]

#[path = "../../update/tests/invariants/mod.rs"]
#[allow(dead_code, reason = "the other targets use the rest")]
mod invariants;

libfuzzer_sys::fuzz_target!(|text: &str| {
    invariants::names_are_read_in_one_way(text);
});
