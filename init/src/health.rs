//! Whether this entry is healthy: what decides between blessing it and falling back. A total function.
//!
//! An entry is *pending* until all its essential services are ready and its health commands have passed, once; that
//! makes it *healthy*, and blessing follows. Past the deadline, or when something essential has failed for good, it is
//! *unhealthy*, and a restart into the next try or the next entry follows.

use crate::supervise::machine::Millis;

/// What is known of the entry's health.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Health {
    /// Not all of it is ready; it has until then.
    Pending { deadline: Millis },
    /// It was all ready at once.
    Healthy,
    /// It will not become healthy, or is not any more.
    Unhealthy(Reason),
}

/// Why an entry is not healthy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reason {
    /// Something essential was not ready in time.
    TooLate,
    /// The essential service with this index has failed for good.
    Lost(usize),
}

/// What the essential services look like together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Essential {
    /// At least one is still on its way.
    Waiting,
    /// All are ready and their health commands have passed.
    Ready,
    /// The one with this index has failed for good.
    Lost(usize),
}

/// The next state of health. Unhealthy is final: what follows is a reboot.
pub(crate) fn judge(health: Health, essential: Essential, now: Millis) -> Health {
    match (health, essential) {
        (Health::Unhealthy(reason), _) => Health::Unhealthy(reason),
        (_, Essential::Lost(index)) => Health::Unhealthy(Reason::Lost(index)),
        (Health::Healthy, Essential::Ready | Essential::Waiting) => Health::Healthy,
        (Health::Pending { .. }, Essential::Ready) => Health::Healthy,
        (Health::Pending { deadline }, Essential::Waiting) if now >= deadline => {
            Health::Unhealthy(Reason::TooLate)
        }
        (pending @ Health::Pending { .. }, Essential::Waiting) => pending,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_has_its_judgement() {
        let pending = Health::Pending { deadline: 10 };
        let (late, lost) = (Health::Unhealthy(Reason::TooLate), Health::Unhealthy(Reason::Lost(1)));
        let table = [
            (pending, Essential::Waiting, 9, pending),
            (pending, Essential::Waiting, 10, late),
            (pending, Essential::Ready, 10, Health::Healthy),
            (pending, Essential::Lost(1), 0, lost),
            (Health::Healthy, Essential::Waiting, 99, Health::Healthy),
            (Health::Healthy, Essential::Ready, 99, Health::Healthy),
            (Health::Healthy, Essential::Lost(1), 0, lost),
            (late, Essential::Ready, 0, late),
            (late, Essential::Lost(1), 0, late),
            (lost, Essential::Waiting, 0, lost),
        ];
        for (health, essential, now, expected) in table {
            assert_eq!(
                judge(health, essential, now),
                expected,
                "{health:?} {essential:?} at {now}"
            );
        }
    }
}
