use std::ops::Range;

use super::registry::{Closed, How, Tag};
use super::{DAY, HOUR, SETTLING};

/// What happens to a fleet.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) machines: u32,
    /// Requests a second that the registry serves.
    pub(crate) limit: u32,
    pub(crate) days: u64,
    pub(crate) tags: Vec<Tag>,
    pub(crate) closed: Vec<Closed>,
    /// When all machines are booted at the same moment.
    pub(crate) power_cut: Option<u64>,
    /// The seconds of each day in which machines may reboot by themselves; always without it.
    pub(crate) window: Option<Range<u64>>,
    pub(crate) ids: Ids,
}

/// What spreads machines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ids {
    OneEach,
    /// As if nothing did: to see that it matters.
    #[allow(dead_code, reason = "only the test looks")]
    OneForAll,
}

/// How many there are, and how fast their registry is.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) machines: u32,
    pub(crate) limit: u32,
    pub(crate) ids: Ids,
}

/// The hour of the first measured day at which something happens.
pub(crate) fn hour(number: u64) -> u64 {
    SETTLING + number * HOUR
}

/// When the share of a staged rollout is raised, and to what.
pub(crate) const STAGES: [(u64, u8); 4] = [(6, 5), (18, 25), (30, 50), (42, 100)];

impl Scenario {
    /// A day on which nothing happens.
    pub(crate) fn normal(size: Size) -> Self {
        Self {
            name: "a normal day",
            machines: size.machines,
            limit: size.limit,
            days: 1,
            tags: Vec::new(),
            closed: Vec::new(),
            power_cut: None,
            window: None,
            ids: size.ids,
        }
    }

    /// A release for 5, 25, 50 and then all percent.
    pub(crate) fn rollout(size: Size) -> Self {
        let tag = |(at, rollout)| Tag { from: hour(at), sequence: 1, rollout };
        let tags = STAGES.into_iter().map(tag).collect();
        Self { name: "a staged rollout", days: 3, tags, ..Self::normal(size) }
    }

    /// A release for all that is published while the registry cannot be reached for six hours.
    pub(crate) fn outage(size: Size) -> Self {
        let closed = vec![Closed { from: hour(6), to: hour(12), how: How::Outage }];
        let tags = vec![release(hour(11))];
        Self { name: "six hours without a registry", days: 2, tags, closed, ..Self::normal(size) }
    }

    /// An hour in which the registry sends everybody away.
    pub(crate) fn storm(size: Size) -> Self {
        let closed = vec![Closed { from: hour(12), to: hour(13), how: How::Storm }];
        Self { name: "an hour of nothing but 503", closed, ..Self::normal(size) }
    }

    /// All machines are booted at the same moment.
    pub(crate) fn power_cut(size: Size) -> Self {
        Self { name: "power comes back to all", power_cut: Some(hour(12)), ..Self::normal(size) }
    }

    /// The same, and each has a new image to try, whose health depends on the registry: all ask at once.
    pub(crate) fn trials(size: Size) -> Self {
        let (tags, power_cut) = (vec![release(hour(4))], Some(hour(20)));
        // Nobody has rebooted by himself by then.
        let window = Some(21 * HOUR..22 * HOUR);
        let name = "power comes back to all, on trial";
        Self { name, tags, power_cut, window, ..Self::normal(size) }
    }

    /// A release for all, and two hours a night in which machines may reboot.
    pub(crate) fn window(size: Size) -> Self {
        let (tags, window) = (vec![release(hour(9))], Some(2 * HOUR..4 * HOUR));
        Self { name: "a window at night", days: 2, tags, window, ..Self::normal(size) }
    }

    /// The same, and the next release comes while the window is open.
    pub(crate) fn two_in_a_row(size: Size) -> Self {
        let next = Tag { from: hour(27), sequence: 2, rollout: 100 };
        let tags = vec![release(hour(9)), next];
        Self { name: "a second release at 3 o'clock", days: 3, tags, ..Self::window(size) }
    }

    /// All of them.
    #[allow(dead_code, reason = "the test names each")]
    pub(crate) fn all(size: Size) -> [Self; 8] {
        [
            Self::normal(size),
            Self::rollout(size),
            Self::outage(size),
            Self::storm(size),
            Self::power_cut(size),
            Self::trials(size),
            Self::window(size),
            Self::two_in_a_row(size),
        ]
    }

    /// When the last thing happens from which the fleet recovers.
    pub(crate) fn turning_point(&self) -> u64 {
        let closed = self.closed.iter().map(|closed| closed.to);
        let tags = self.tags.iter().map(|tag| tag.from);
        closed.chain(tags).chain(self.power_cut).max().unwrap_or(SETTLING)
    }

    /// The seconds that are measured.
    pub(crate) fn span(&self) -> Range<u64> {
        SETTLING..SETTLING + self.days * DAY
    }
}

fn release(from: u64) -> Tag {
    Tag { from, sequence: 1, rollout: 100 }
}
