//! Many machines that run the schedule in simulated time, and the registry that they ask.
//!
//! The schedule is the machines' own: [`pintle_update::schedule`] decides. What is made up is the rest: jobs take no
//! time, a reboot takes [`machine::REBOOT`], a new image is well as soon as the registry has been reached, and everybody
//! asks the one registry without a mirror.

pub(crate) mod fleet;
pub(crate) mod load;
pub(crate) mod machine;
pub(crate) mod registry;
pub(crate) mod scenario;

/// Monday 2026-11-23, 00:00 UTC: when what is measured begins.
pub(crate) const MONDAY: i64 = 1_795_392_000;

/// Machines are booted and find their places before: in the first of these days.
pub(crate) const SETTLING: u64 = 2 * DAY;

/// Times are in seconds since the simulation began, unless they are said to be in milliseconds.
pub(crate) const HOUR: u64 = 3600;
pub(crate) const DAY: u64 = 24 * HOUR;
