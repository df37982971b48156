//! When a machine looks for releases, takes them and reboots into them: pure, with time, the
//! machine's id and all that happened as arguments.
//!
//! [`Updater`] holds what is known and what is under way; [`Updater::after`] is what follows on an
//! event, [`decide`] what to do now, or what is waited for. Both are total, and their tables are
//! `update/tests/golden/updater.txt` and `decisions.txt`. `docs/fleet.md` shows what a fleet of
//! machines that follow them makes of a registry.

mod calendar;
mod civil;
mod decide;
mod meter;
mod policy;
mod poll;
mod rollout;
mod spread;
mod status;
mod time;
mod updater;
mod wait;
mod zone;

pub use calendar::{Calendar, Span, Turn, Window};
pub use decide::{Action, Circumstances, Decision, Inhibitor, Running, decide};
pub use meter::Meter;
pub use policy::{Mode, Policy, Reboots};
pub use poll::{BACKOFF_MIN, Outcome, Poll, RETRY_AFTER_MAX};
pub use rollout::includes;
pub use spread::{MachineId, Purpose, Share};
pub use status::{Doing, LastCheck, Status};
pub use time::{Now, Wall};
pub use updater::{Event, Found, Job, PutOff, Release, Staged, Updater, Why};
pub use wait::Reason;
pub use zone::Zone;
