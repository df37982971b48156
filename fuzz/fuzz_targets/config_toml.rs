//! Any text compiles to a configuration that its bytes mean too, or leaves diagnostics with places
//! that are in the text. It never panics.
//!
//! `cargo test -p pintle-config --test mutations` runs the same over seeded mutations.
#![no_main]

#[path = "../../config/tests/invariants/mod.rs"]
#[allow(dead_code, reason = "the other targets use the rest")]
mod invariants;

libfuzzer_sys::fuzz_target!(|text: &str| {
    invariants::text_compiles_or_is_explained(text);
});
