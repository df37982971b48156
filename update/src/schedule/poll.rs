use std::time::Duration;

use super::{MachineId, Now, Policy, Purpose, Wall};

/// When the registry is asked the next time.
///
/// A machine has a place of its own in the interval, by the time of day, and comes back to it after
/// whatever happened: machines that were started, or cut off, together do not stay together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Poll {
    due: Duration,
    failures: u32,
}

/// How a check ended, as far as the next one depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The registry answered.
    Answered,
    /// It did not, or not well.
    Failed {
        /// `Retry-After` (RFC 9110, section 10.2.3), where it said so.
        retry_after: Option<Duration>,
    },
}

/// A registry that failed is left alone at least so long.
pub const BACKOFF_MIN: Duration = Duration::from_secs(60);
/// A registry cannot send its machines away for longer by `Retry-After`.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);
/// The longest time over which first checks are spread: nobody who has just booted a machine
/// waits for longer.
const FIRST_MAX: Duration = Duration::from_secs(15 * 60);
/// The share of the interval over which they are spread.
const FIRST_SHARE: u32 = 24;
/// Two to this power times [`BACKOFF_MIN`] is above every interval.
const DOUBLINGS_MAX: u32 = 20;

impl Poll {
    /// A machine that has just booted: the first check is due within minutes, spread over the fleet.
    pub fn at_boot(policy: &Policy) -> Self {
        let spread = (policy.interval / FIRST_SHARE).min(FIRST_MAX);
        Self { due: policy.machine.share(Purpose::FirstCheck).within(spread), failures: 0 }
    }

    /// The same where the running image is on trial: the check is due at once, because its health may depend on it.
    pub fn on_trial() -> Self {
        Self { due: Duration::ZERO, failures: 0 }
    }

    /// When the next check is due, since boot.
    pub fn due(&self) -> Duration {
        self.due
    }

    /// How many checks in a row have failed.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// What follows on a check that has just ended.
    ///
    /// After a good one, the machine's place in the interval, half an interval from now at the
    /// earliest, one and a half at the latest. After a bad one a minute or two, twice as long each
    /// time, up to the interval, or what the registry asked for if that is longer.
    pub fn after(self, outcome: Outcome, now: Now, policy: &Policy) -> Self {
        let (failures, wait) = match outcome {
            Outcome::Answered => (0, until_place(now.wall, policy)),
            Outcome::Failed { retry_after } => {
                let failures = self.failures.saturating_add(1);
                (failures, wait_after_failure(failures, retry_after, policy))
            }
        };
        Self { due: now.since_boot.saturating_add(wait), failures }
    }
}

/// The wait after so many failures in a row: what the machine's own patience says, or what the registry
/// asked for if that is longer.
pub(super) fn wait_after_failure(
    failures: u32,
    retry_after: Option<Duration>,
    policy: &Policy,
) -> Duration {
    let asked = retry_after.map(|wait| spread_retry(wait, failures, &policy.machine));
    backoff(failures, policy).max(asked.unwrap_or_default())
}

/// Doubled with each failure, and by the machine's share up to twice that, so that machines that
/// failed together do not come back together.
fn backoff(failures: u32, policy: &Policy) -> Duration {
    let doublings = failures.saturating_sub(1).min(DOUBLINGS_MAX);
    let base = BACKOFF_MIN.saturating_mul(1 << doublings).min(policy.interval / 2);
    let base = base.max(BACKOFF_MIN);
    base + policy.machine.share(Purpose::Retry(failures)).within(base)
}

/// A registry gives all machines the same number; they come back within twice that time.
fn spread_retry(wait: Duration, failures: u32, machine: &MachineId) -> Duration {
    let wait = wait.min(RETRY_AFTER_MAX);
    (wait + machine.share(Purpose::Retry(failures)).within(wait)).min(RETRY_AFTER_MAX)
}

fn until_place(wall: Wall, policy: &Policy) -> Duration {
    let interval = seconds(policy.interval).max(1);
    let place = seconds(policy.machine.share(Purpose::Check).within(policy.interval));
    let earliest = wall.0.saturating_add(interval / 2);
    let wait = place.saturating_sub(earliest.rem_euclid(interval)).rem_euclid(interval);
    Duration::from_secs(u64::try_from(interval / 2 + wait).unwrap_or(0))
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const FLEET: u128 = 2000;

    fn policy(machine: u128) -> Policy {
        let machine = MachineId::from_bytes(machine.to_be_bytes());
        Policy { interval: 6 * HOUR, ..Policy::of_machine(machine) }
    }

    fn now(since_boot: Duration, wall: i64) -> Now {
        Now { since_boot, wall: Wall(wall) }
    }

    fn fleet() -> impl Iterator<Item = Policy> {
        (0..FLEET).map(policy)
    }

    /// How many values fall into each tenth of `span`.
    fn tenths(values: impl Iterator<Item = Duration>, span: Duration) -> [usize; 10] {
        let mut counts = [0; 10];
        values.for_each(|value| {
            counts[(value.as_millis() * 10 / span.as_millis()) as usize] += 1;
        });
        counts
    }

    fn are_even(counts: [usize; 10]) {
        let expected = FLEET as usize / 10;
        assert!(counts.iter().all(|count| count.abs_diff(expected) < expected / 3), "{counts:?}");
    }

    #[test]
    fn first_checks_are_spread_over_minutes() {
        let first = fleet().map(|policy| Poll::at_boot(&policy).due());
        are_even(tenths(first, 15 * Duration::from_secs(60)));
        let often = Policy { interval: HOUR / 12, ..policy(1) };
        assert!(Poll::at_boot(&often).due() <= HOUR / 12 / 24);
    }

    #[test]
    fn machines_that_ask_together_part_for_good() {
        let asked = now(HOUR, 1_700_000_000);
        let next =
            fleet().map(|policy| Poll::at_boot(&policy).after(Outcome::Answered, asked, &policy));
        are_even(tenths(next.map(|poll| poll.due() - HOUR - 3 * HOUR), 6 * HOUR));
    }

    #[test]
    fn a_machine_keeps_its_place() {
        let policy = policy(7);
        let mut poll = Poll::at_boot(&policy);
        let mut times = Vec::new();
        for _ in 0..10 {
            let then = now(poll.due(), 1_700_000_000 + poll.due().as_secs() as i64);
            poll = poll.after(Outcome::Answered, then, &policy);
            times.push(then.wall_at(poll.due()).0 % (6 * 3600));
        }
        assert!(times[1..].iter().all(|time| *time == times[0]), "{times:?}");
    }

    #[test]
    fn failures_double_the_wait_up_to_the_interval() {
        for policy in fleet().take(100) {
            let mut poll = Poll::at_boot(&policy);
            for failures in 1..40 {
                let before = now(poll.due(), 0);
                poll = poll.after(Outcome::Failed { retry_after: None }, before, &policy);
                let wait = poll.due() - before.since_boot;
                let base = BACKOFF_MIN.saturating_mul(1 << (failures - 1).min(20));
                let base = base.min(policy.interval / 2);
                assert!((base..2 * base).contains(&wait) && poll.failures() == failures);
            }
        }
    }

    #[test]
    fn retry_after_is_honoured_and_bounded() {
        for policy in fleet().take(100) {
            let after = |retry| {
                let failed = Outcome::Failed { retry_after: Some(retry) };
                Poll::at_boot(&policy).after(failed, now(HOUR, 0), &policy).due() - HOUR
            };
            assert!((HOUR..2 * HOUR).contains(&after(HOUR)));
            assert!(after(Duration::ZERO) >= BACKOFF_MIN);
            assert_eq!(after(Duration::MAX), RETRY_AFTER_MAX);
        }
    }

    /// Whatever the clocks show, the wait is within its bounds.
    #[test]
    fn clocks_may_jump() {
        for wall in [i64::MIN, -1, 0, 1, 1_700_000_000, i64::MAX] {
            for since_boot in [Duration::ZERO, HOUR, Duration::from_secs(u64::MAX / 2)] {
                let policy = policy(3);
                let now = now(since_boot, wall);
                let wait = Poll::at_boot(&policy).after(Outcome::Answered, now, &policy).due()
                    - since_boot;
                assert!((3 * HOUR..9 * HOUR).contains(&wait), "{wall} {wait:?}");
            }
        }
    }
}
