//! Descriptors that this program was started with.
//!
//! Source: sd_listen_fds(3), for the convention that they begin with 3.

use rustix::fd::{FromRawFd, OwnedFd, RawFd};
use rustix::io::fcntl_getfd;
use std::sync::atomic::{AtomicBool, Ordering};

/// The first descriptor after the standard streams.
const FIRST: RawFd = 3;

/// More than anybody hands over; a number beyond is a mistake.
const COUNT_MAX: usize = 64;

static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes the descriptors 3, 4, ... that the starter handed over, `count` of them; `None` when they were taken
/// before, are more than 64, or one is not open.
///
/// To be called before anything opens a descriptor.
pub fn take(count: usize) -> Option<Vec<OwnedFd>> {
    if count > COUNT_MAX || TAKEN.swap(true, Ordering::SeqCst) {
        return None;
    }
    (0..count).map(|number| adopt(FIRST + number as RawFd)).collect()
}

fn adopt(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: the flag in `take` keeps anybody from owning it twice, and the caller has opened nothing yet. One that
    // is not open is not owned: it is given up below.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    if fcntl_getfd(&descriptor).is_ok() {
        return Some(descriptor);
    }
    std::mem::forget(descriptor);
    None
}
