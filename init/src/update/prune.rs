//! Which entries go when newer ones have proved themselves.

use std::time::Duration;

use pintle_update::EntryName;
use pintle_update::schedule::{Now, Policy, Running};

use super::{Error, Updater};
use crate::status::Status;
use crate::store;

/// Whether the running image has proved itself for as long as the policy wants.
pub(super) fn is_due(running: Running, policy: &Policy, now: Now) -> bool {
    is_settled(running, policy, now.since_boot) && is_healthy()
}

/// A good one proves itself in each boot anew: the machine may have come back to it because a newer one failed.
fn is_settled(running: Running, policy: &Policy, since_boot: Duration) -> bool {
    let since = match running {
        Running::Trial => return false,
        Running::Blessed(at) => at,
        Running::Good => Duration::ZERO,
    };
    since_boot >= since.saturating_add(policy.grace)
}

/// With another init nobody says so, and whoever blesses is believed.
fn is_healthy() -> bool {
    Status::read().map_or(true, |status| status.health == "healthy")
}

impl Updater {
    /// Removes what is not kept, and the trash with it; needs no space.
    pub(super) fn prune(&self) -> Result<Vec<EntryName>, Error> {
        let (keep, protected) = self.room()?;
        let store = &self.machine.store;
        let surplus = store.surplus(keep, &protected).map_err(store::Error::from)?;
        if surplus.is_empty() {
            return Ok(surplus);
        }
        self.machine.remember_what_failed(&surplus)?;
        store.discard(&surplus).map_err(store::Error::from)?;
        self.machine.empty_trash()?;
        Ok(surplus)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pintle_update::schedule::MachineId;

    #[test]
    fn nothing_goes_before_the_running_image_has_proved_itself() {
        let policy = Policy::of_machine(MachineId::from_bytes([7; 16]));
        let minutes = |number: u64| Duration::from_secs(60 * number);
        for (running, at, settled) in [
            (Running::Trial, 1000, false),
            (Running::Blessed(minutes(3)), 12, false),
            (Running::Blessed(minutes(3)), 13, true),
            (Running::Good, 9, false),
            (Running::Good, 10, true),
        ] {
            assert_eq!(is_settled(running, &policy, minutes(at)), settled, "{running:?} at {at}");
        }
    }
}
