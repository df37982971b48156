//! Waiting for a child that takes its time, while the watchdog is fed.

use crate::error::Result;
use pintle_sys::spawn::{Child, Ended};
use std::time::Duration;

/// How long the watchdog can go without food at most.
const FEEDING: Duration = Duration::from_secs(1);

/// Waits until the child has ended; `feed` is called every second meanwhile.
pub(crate) fn wait(child: &Child, feed: &mut dyn FnMut()) -> Result<Ended> {
    loop {
        if let Some(ended) = child.wait(Some(FEEDING))? {
            return Ok(ended);
        }
        feed();
    }
}
