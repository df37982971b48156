//! Waiting for a child that takes its time, while the watchdog is fed.

use crate::error::{Cause, Error, Result};
use pintle_sys::spawn::{Child, Ended};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// How long the watchdog can go without food at most: half of the shortest time that can be
/// configured.
pub const FEEDING: Duration = Duration::from_secs(1);

/// A terabyte is checked, or hashed, in this time; what takes longer hangs on a broken disk, and a
/// watchdog that is fed for ever would hide that.
const LIMIT: Duration = Duration::from_secs(3600);

/// Waits until the child has ended, but not for ever; `feed` is called every second meanwhile.
pub(crate) fn wait(child: &Child, feed: &mut dyn FnMut()) -> Result<Ended> {
    match wait_within(child, LIMIT, feed)? {
        Some(ended) => Ok(ended),
        None => {
            child.kill(Signal::KILL)?;
            let why = format!("no end after {} s", LIMIT.as_secs());
            Err(Error::Hardware(Cause::new("wait for the disk", why)))
        }
    }
}

/// Waits until the child has ended, at most for `limit`; `feed` is called every second meanwhile.
pub fn wait_within(
    child: &Child,
    limit: Duration,
    feed: &mut dyn FnMut(),
) -> pintle_sys::Result<Option<Ended>> {
    let begun = Instant::now();
    while let Some(left) = limit.checked_sub(begun.elapsed()) {
        if let Some(ended) = child.wait(Some(left.min(FEEDING)))? {
            return Ok(Some(ended));
        }
        feed();
    }
    Ok(None)
}
