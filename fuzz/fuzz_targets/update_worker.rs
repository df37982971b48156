//! Any bytes are a worker's job and its answers, or refused, and no answer is longer than its limit. It never panics.
//!
//! The tests of update/src/worker.rs run the same over every flipped bit of an answer.
#![no_main]

use pintle_update::worker::{Job, SAID_MAX, Said};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    drop(Job::read(&mut &*bytes));
    let mut received = bytes.to_vec();
    while let Ok(Some(said)) = Said::take(&mut received) {
        assert!(said.to_frame().is_ok_and(|frame| frame.len() <= SAID_MAX + 4));
    }
});
