//! The boot clock: it counts while the machine sleeps, and nobody can set it.

use rustix::time::{ClockId, clock_gettime};

use crate::supervise::machine::Millis;

/// Milliseconds since boot.
pub(crate) fn milliseconds() -> Millis {
    microseconds() / 1000
}

/// Microseconds since boot.
pub(crate) fn microseconds() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000).saturating_add(u64::try_from(now.tv_nsec / 1000).unwrap_or(0))
}
