//! A message of any bytes is a kernel's event or is not; an event's keys say what its summary says.
//!
//! `cargo test -p pintle-mount --test mutations` runs the same over seeded mutations.
#![no_main]

#[path = "../../mount/tests/invariants/mod.rs"]
#[allow(dead_code, reason = "the other targets use the rest")]
mod invariants;

libfuzzer_sys::fuzz_target!(|message: &[u8]| {
    invariants::messages_are_events_or_not(message);
});
