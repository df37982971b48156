use std::fmt;
use std::time::Duration;

use super::{Calendar, MachineId};

/// How a machine keeps itself up to date: what its configuration says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its id, which gives it a place of its own among all.
    pub machine: MachineId,
    /// How far it goes by itself.
    pub mode: Mode,
    /// Whether it reboots by itself.
    pub reboots: Reboots,
    /// How often it asks; at least a few minutes.
    pub interval: Duration,
    /// How long it must have known a release before it takes it.
    pub delay: Duration,
    /// How long after an image was blessed no other one is taken.
    pub grace: Duration,
    /// When it may reboot.
    pub calendar: Calendar,
    /// The most bytes to fetch in a day.
    pub metered: Option<u64>,
}

/// How far a machine goes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It installs releases and boots them.
    Apply,
    /// It installs releases.
    Download,
    /// It looks for releases.
    Check,
    /// Nowhere.
    Off,
}

/// Whether a machine reboots by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reboots {
    /// When it is its turn, and nothing inhibits it.
    Window,
    /// Never.
    Never,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Apply => "apply",
            Self::Download => "download",
            Self::Check => "check",
            Self::Off => "off",
        })
    }
}

impl Policy {
    /// What holds for a machine whose configuration says nothing else.
    pub fn of_machine(machine: MachineId) -> Self {
        Self {
            machine,
            mode: Mode::Apply,
            reboots: Reboots::Window,
            interval: Duration::from_secs(6 * 3600),
            delay: Duration::ZERO,
            grace: Duration::from_secs(10 * 60),
            calendar: Calendar::ALWAYS,
            metered: None,
        }
    }
}
