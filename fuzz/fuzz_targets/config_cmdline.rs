//! Whatever stands on the command line, a locked machine takes over nothing that weakens it, takes
//! over all else as an unlocked one does, and complaints can be printed. It never panics.
//!
//! `cargo test -p pintle-config --test mutations` runs the same over seeded mutations.
#![no_main]

#[path = "../../config/tests/invariants/mod.rs"]
#[allow(dead_code, reason = "the other targets use the rest")]
mod invariants;

libfuzzer_sys::fuzz_target!(|line: &[u8]| {
    invariants::a_locked_machine_stays_locked(line);
});
