//! Whether this entry is healthy: what decides between blessing it and falling back. A total function.
//!
//! An entry is *pending* until all its essential services are ready and its health commands have passed. It is *proving*
//! itself then: what starts and ends at once must not be called good, so all of it must stay ready without a break for
//! a while. That makes it *healthy*, and blessing follows. Past the deadline, or when something essential has failed for
//! good, it is *unhealthy*, and a restart into the next try or the next entry follows.

use crate::supervise::machine::Millis;

/// What is known of the entry's health.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Health {
    /// Not all of it is ready; it has until then.
    Pending { deadline: Millis },
    /// All of it is ready and has to stay so until then. A break leads back, with the old deadline.
    Proving { until: Millis, deadline: Millis },
    /// It has proved itself.
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
    /// A block of its image is not what was signed.
    Corrupt,
}

/// What the essential services look like together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Essential {
    /// At least one is still on its way.
    Waiting,
    /// All are ready and their health commands have passed.
    Ready,
    /// The one with this index has failed, or ended, for good.
    Lost(usize),
}

/// The next state of health; `min_ready` is how long an entry has to prove itself. Unhealthy is final: what follows is
/// a reboot.
pub(crate) fn judge(
    health: Health,
    essential: Essential,
    now: Millis,
    min_ready: Millis,
) -> Health {
    match (health, essential) {
        (Health::Unhealthy(reason), _) => Health::Unhealthy(reason),
        (_, Essential::Lost(index)) => Health::Unhealthy(Reason::Lost(index)),
        (Health::Healthy, Essential::Ready | Essential::Waiting) => Health::Healthy,
        (Health::Pending { .. }, Essential::Ready) if min_ready == 0 => Health::Healthy,
        (Health::Pending { deadline }, Essential::Ready) => {
            Health::Proving { until: now.saturating_add(min_ready), deadline }
        }
        (Health::Proving { until, .. }, Essential::Ready) if now >= until => Health::Healthy,
        (proving @ Health::Proving { .. }, Essential::Ready) => proving,
        (Health::Pending { deadline } | Health::Proving { deadline, .. }, Essential::Waiting)
            if now >= deadline =>
        {
            Health::Unhealthy(Reason::TooLate)
        }
        (Health::Pending { deadline } | Health::Proving { deadline, .. }, Essential::Waiting) => {
            Health::Pending { deadline }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN_READY: Millis = 5;

    #[test]
    fn every_pair_has_its_judgement() {
        let pending = Health::Pending { deadline: 10 };
        let proving = Health::Proving { until: 12, deadline: 10 };
        let (late, lost) = (Health::Unhealthy(Reason::TooLate), Health::Unhealthy(Reason::Lost(1)));
        let table = [
            (pending, Essential::Waiting, 9, pending),
            (pending, Essential::Waiting, 10, late),
            (pending, Essential::Ready, 7, proving),
            (pending, Essential::Lost(1), 0, lost),
            (proving, Essential::Waiting, 9, pending),
            (proving, Essential::Waiting, 10, late),
            (proving, Essential::Ready, 11, proving),
            (proving, Essential::Ready, 12, Health::Healthy),
            (proving, Essential::Lost(1), 12, lost),
            (Health::Healthy, Essential::Waiting, 99, Health::Healthy),
            (Health::Healthy, Essential::Ready, 99, Health::Healthy),
            (Health::Healthy, Essential::Lost(1), 0, lost),
            (late, Essential::Ready, 0, late),
            (late, Essential::Waiting, 0, late),
            (late, Essential::Lost(1), 0, late),
            (lost, Essential::Waiting, 0, lost),
        ];
        for (health, essential, now, expected) in table {
            let judged = judge(health, essential, now, MIN_READY);
            assert_eq!(judged, expected, "{health:?} {essential:?} at {now}");
        }
    }

    #[test]
    fn an_entry_that_need_not_prove_itself_is_healthy_at_once() {
        let pending = Health::Pending { deadline: 10 };
        assert_eq!(judge(pending, Essential::Ready, 3, 0), Health::Healthy);
    }

    /// Ready for less than the time, over and over, until the deadline.
    #[test]
    fn an_entry_that_keeps_breaking_off_is_too_late() {
        let mut health = Health::Pending { deadline: 100 };
        for now in 0..100 {
            let essential = if now % 4 == 3 { Essential::Waiting } else { Essential::Ready };
            health = judge(health, essential, now, MIN_READY);
            assert!(
                !matches!(health, Health::Healthy | Health::Unhealthy(_)),
                "{health:?} at {now}"
            );
        }
        assert_eq!(
            judge(health, Essential::Waiting, 103, MIN_READY),
            Health::Unhealthy(Reason::TooLate)
        );
    }
}
