use std::fmt;
use std::time::Duration;

use pintle_verify::Percent;

use super::poll::{self, Outcome, Poll};
use super::{LastCheck, Meter, Now, Policy};
use crate::EntryName;

/// What a machine knows of updates, and how far it has come with the newest one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Updater {
    /// When to ask the registry.
    pub poll: Poll,
    /// The newest release that is not installed.
    pub release: Release,
    /// The installed entry that the next boot takes, if that is not the running one.
    pub staged: Option<Staged>,
    /// What is under way.
    pub job: Option<Job>,
    /// What failed with the release, and until when it is left alone.
    pub put_off: Option<PutOff>,
    /// What was fetched today.
    pub meter: Meter,
    /// How the last check ended.
    pub last_check: Option<LastCheck>,
}

/// How far the machine has come with a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Release {
    /// There is none that is newer than what is installed.
    Nothing,
    /// It is known. The time, since boot, is when it has been known for long enough.
    Seen(Found, Duration),
    /// All of it is here.
    Fetched(Found, Duration),
}

/// A release that a check has found, by its verified seal: newer than what is installed, and not
/// known as bad.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its sequence.
    pub sequence: u64,
    /// Its version, for people.
    pub version: String,
    /// The share of machines that it is for.
    pub rollout: Percent,
    /// How long the machine had known it before it was booted; zero if it does not remember.
    pub known_for: Duration,
}

/// An installed entry that the next boot takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staged {
    /// Its name.
    pub entry: EntryName,
    /// From when on, by the clock since boot, the machine reboots into it by itself. Whoever installed it by hand has
    /// the grace period to do so at a time of his own.
    pub from: Duration,
}

/// What the machine can have under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// It asks the registry.
    Check,
    /// It fetches the release.
    Download,
    /// It installs the release, hooks included.
    Install,
}

/// A release that is left alone for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutOff {
    /// Until then, since boot.
    pub until: Duration,
    /// How often in a row.
    pub failures: u32,
    /// What happened.
    pub why: Why,
}

/// Words that come from elsewhere: a hook, an operator, a registry. At most 200 characters, none of
/// which controls a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why(String);

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A job has been started.
    Started(Job),
    /// The check has found a release.
    Newer(Found),
    /// The check has found nothing newer.
    NothingNewer,
    /// The registry did not answer a check, or not well.
    Unreachable {
        /// What was wrong.
        why: Why,
        /// What it said of when to come back.
        retry_after: Option<Duration>,
    },
    /// So many bytes of the release came.
    Received(u64),
    /// All of the release is here.
    Fetched,
    /// What may be fetched today has been.
    Spent,
    /// The release is installed, as this entry.
    Installed(EntryName),
    /// Fetching or installing failed, or a hook was against it.
    Failed {
        /// What was wrong.
        why: Why,
        /// What the registry said of when to come back.
        retry_after: Option<Duration>,
    },
    /// What had been fetched has vanished.
    Lost,
    /// A look at the store: the entry above the running one that the next boot takes, if there is one.
    BootsNext(Option<EntryName>),
}

impl Updater {
    /// A machine that has just booted.
    pub fn at_boot(policy: &Policy) -> Self {
        Self {
            poll: Poll::at_boot(policy),
            release: Release::Nothing,
            staged: None,
            job: None,
            put_off: None,
            meter: Meter::default(),
            last_check: None,
        }
    }

    /// A machine that has just booted an image on trial.
    pub fn on_trial(policy: &Policy) -> Self {
        Self { poll: Poll::on_trial(), ..Self::at_boot(policy) }
    }

    /// What follows on an event. Events that do not fit change no more than they say.
    pub fn after(self, event: Event, now: Now, policy: &Policy) -> Self {
        match event {
            Event::Started(job) => Self { job: Some(job), ..self },
            Event::Newer(found) => {
                self.answered(&found.version, now, policy).seen(found, now, policy)
            }
            Event::NothingNewer => {
                let rest = self.answered(NOTHING, now, policy);
                Self { release: Release::Nothing, put_off: None, ..rest }
            }
            Event::Unreachable { why, retry_after } => {
                self.checked(why.to_string(), Outcome::Failed { retry_after }, now, policy)
            }
            Event::Received(bytes) => {
                Self { meter: self.meter.after(bytes, now.since_boot), ..self }
            }
            Event::Fetched => Self { job: None, put_off: None, ..self }.fetched(),
            Event::Spent => Self { job: None, ..self },
            Event::Installed(entry) => Self {
                release: Release::Nothing,
                staged: Some(Staged { entry, from: now.since_boot }),
                job: None,
                put_off: None,
                ..self
            },
            Event::Failed { why, retry_after } => {
                let failures = self.put_off.as_ref().map_or(0, |put_off| put_off.failures);
                let failures = failures.saturating_add(1);
                let wait = poll::wait_after_failure(failures, retry_after, policy);
                let until = now.since_boot.saturating_add(wait);
                Self { job: None, put_off: Some(PutOff { until, failures, why }), ..self }
            }
            Event::Lost => Self { job: None, ..self }.lost(),
            Event::BootsNext(next) => self.boots_next(next, now, policy),
        }
    }

    /// What is staged already keeps its time. What is not was installed by somebody else, and a release that is not
    /// newer is none any more.
    fn boots_next(self, next: Option<EntryName>, now: Now, policy: &Policy) -> Self {
        let Some(entry) = next else { return Self { staged: None, ..self } };
        if self.staged.as_ref().is_some_and(|staged| staged.entry == entry) {
            return self;
        }
        let newer = self.release.known().is_some_and(|(it, _)| it.sequence > entry.sequence());
        let from = now.since_boot.saturating_add(policy.grace);
        let staged = Some(Staged { entry, from });
        match newer {
            true => Self { staged, ..self },
            false => Self { staged, release: Release::Nothing, put_off: None, ..self },
        }
    }

    fn answered(self, result: &str, now: Now, policy: &Policy) -> Self {
        self.checked(result.to_owned(), Outcome::Answered, now, policy)
    }

    fn checked(self, result: String, outcome: Outcome, now: Now, policy: &Policy) -> Self {
        let poll = self.poll.after(outcome, now, policy);
        Self { poll, job: None, last_check: Some(LastCheck { at: now.wall, result }), ..self }
    }

    /// The same release keeps its time and what is here of it; its rollout may have changed.
    fn seen(self, found: Found, now: Now, policy: &Policy) -> Self {
        let is_same = |known: &Found| known.sequence == found.sequence;
        match self.release {
            Release::Seen(known, ripe) if is_same(&known) => {
                Self { release: Release::Seen(found, ripe), ..self }
            }
            Release::Fetched(known, ripe) if is_same(&known) => {
                Self { release: Release::Fetched(found, ripe), ..self }
            }
            Release::Nothing | Release::Seen(..) | Release::Fetched(..) => {
                let wait = policy.delay.saturating_sub(found.known_for);
                let ripe = now.since_boot.saturating_add(wait);
                Self { release: Release::Seen(found, ripe), put_off: None, ..self }
            }
        }
    }

    fn fetched(self) -> Self {
        match self.release {
            Release::Nothing => self,
            Release::Seen(found, ripe) | Release::Fetched(found, ripe) => {
                Self { release: Release::Fetched(found, ripe), ..self }
            }
        }
    }

    fn lost(self) -> Self {
        match self.release {
            Release::Nothing => self,
            Release::Seen(found, ripe) | Release::Fetched(found, ripe) => {
                Self { release: Release::Seen(found, ripe), ..self }
            }
        }
    }
}

const NOTHING: &str = "nothing newer";

/// A line of a terminal or two.
const WHY_MAX: usize = 200;

impl Why {
    /// The text, shortened, and with spaces for control characters.
    pub fn new(text: &str) -> Self {
        let printable = |c: char| if c.is_control() { ' ' } else { c };
        Self(text.chars().take(WHY_MAX).map(printable).collect())
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Release {
    /// The release, and since when, by the clock since boot, it has been known for long enough.
    pub fn known(&self) -> Option<(&Found, Duration)> {
        match self {
            Self::Nothing => None,
            Self::Seen(found, ripe) | Self::Fetched(found, ripe) => Some((found, *ripe)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_from_elsewhere_are_short_and_harmless() {
        assert_eq!(Why::new("a\x1b[2J\nb\u{9b}c").to_string(), "a [2J b c");
        assert_eq!(Why::new(&"ä".repeat(10_000)).to_string().chars().count(), 200);
    }
}
