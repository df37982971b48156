use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Action, Decision, Job, Now, Reason, Updater, Wall};

/// What the updater knows, for people and programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// How the last check ended; none since boot without it.
    pub last_check: Option<LastCheck>,
    /// How many checks in a row have failed.
    pub failures: u32,
    /// When the next check is due, if the machine checks by itself.
    pub next_check: Option<Wall>,
    /// The version of the newest release that is not installed.
    pub release: Option<String>,
    /// The installed entry that the next boot takes.
    pub staged: Option<String>,
    /// What the machine does.
    pub doing: Doing,
    /// What it waits for, in words.
    pub waits: Option<String>,
    /// When that ends, where time ends it.
    pub until: Option<Wall>,
}

impl Status {
    /// What there is to say of `decision`, and of what led to it.
    pub fn new(updater: &Updater, decision: &Decision, now: Now) -> Self {
        let checks_by_itself = decision.action != Action::Wait(Reason::Off);
        Self {
            last_check: updater.last_check.clone(),
            failures: updater.poll.failures(),
            next_check: checks_by_itself.then(|| now.wall_at(updater.poll.due())),
            release: updater.release.known().map(|(found, _)| found.version.clone()),
            staged: updater.staged.as_ref().map(|staged| staged.entry.to_string()),
            doing: Doing::of(&decision.action),
            waits: waited_for(decision).map(ToString::to_string),
            until: waited_for(decision).and_then(Reason::until),
        }
    }
}

/// What is under way is what the machine does, and not what it waits for.
fn waited_for(decision: &Decision) -> Option<&Reason> {
    match &decision.action {
        Action::Wait(Reason::Busy(_)) => None,
        Action::Wait(reason) => Some(reason),
        Action::Idle
        | Action::Check
        | Action::Download { .. }
        | Action::Install
        | Action::Reboot => None,
    }
}

impl Doing {
    fn of(action: &Action) -> Self {
        match action {
            Action::Idle => Self::Idle,
            Action::Check | Action::Wait(Reason::Busy(Job::Check)) => Self::Checking,
            Action::Download { .. } | Action::Wait(Reason::Busy(Job::Download)) => {
                Self::Downloading
            }
            Action::Install | Action::Wait(Reason::Busy(Job::Install)) => Self::Installing,
            Action::Reboot => Self::Rebooting,
            Action::Wait(_) => Self::Waiting,
        }
    }
}

/// How a check ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastCheck {
    /// When.
    pub at: Wall,
    /// What it found, or what was wrong, in words.
    pub result: String,
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "nothing to do",
            Self::Checking => "asks the registry",
            Self::Downloading => "fetches a release",
            Self::Installing => "installs a release",
            Self::Rebooting => "reboots",
            Self::Waiting => "waits",
        })
    }
}

/// What a machine does, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Doing {
    /// Nothing: there is nothing to do.
    Idle,
    /// It asks the registry.
    Checking,
    /// It fetches a release.
    Downloading,
    /// It installs one.
    Installing,
    /// It reboots.
    Rebooting,
    /// It waits.
    Waiting,
}
