use std::fmt;

use pintle_verify::Percent;

use super::{Job, Mode, Wall, Why};

/// What a machine waits for, told in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The configuration lets it do nothing by itself.
    Off,
    /// Something is under way.
    Busy(Job),
    /// In this mode it does not install by itself.
    InstallsWhenTold(Mode),
    /// An operator holds it.
    Held(Why),
    /// The release is not for this machine yet.
    Rollout(Percent),
    /// The running image is on trial.
    Trial,
    /// The running image was blessed just now.
    Grace(Wall),
    /// The release has not been known for long enough.
    Delay(Wall),
    /// What may be fetched today has been.
    Metered(Wall),
    /// The release failed, or a hook was against it.
    PutOff(Why, Wall),
    /// In this mode it does not reboot by itself.
    RebootsWhenTold(Mode),
    /// Others reboot it.
    RebootsNever,
    /// Somebody installed the staged entry by hand just now, and may want to reboot into it himself.
    ByHand(Wall),
    /// It is not its turn.
    Window(Wall),
    /// Clocks skip every window.
    NoWindow,
    /// Somebody is against a reboot.
    Inhibited(Why, Why),
}

impl Reason {
    /// When the wait ends, where time ends it.
    pub fn until(&self) -> Option<Wall> {
        match self {
            Self::Grace(until)
            | Self::Delay(until)
            | Self::Metered(until)
            | Self::PutOff(_, until)
            | Self::ByHand(until)
            | Self::Window(until) => Some(*until),
            Self::Off
            | Self::Busy(_)
            | Self::InstallsWhenTold(_)
            | Self::Held(_)
            | Self::Rollout(_)
            | Self::Trial
            | Self::RebootsWhenTold(_)
            | Self::RebootsNever
            | Self::NoWindow
            | Self::Inhibited(..) => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("is off: waits to be told what to do"),
            Self::Busy(Job::Check) => f.write_str("waits for the check that is under way"),
            Self::Busy(Job::Download) => f.write_str("waits for the download that is under way"),
            Self::Busy(Job::Install) => f.write_str("waits for the installation that is under way"),
            Self::InstallsWhenTold(mode) => {
                write!(f, "waits to be told to install: mode is \"{mode}\"")
            }
            Self::Held(why) => write!(f, "held by operator: {why}"),
            Self::Rollout(share) => {
                write!(f, "waits for the rollout: it has reached {share} of the machines")
            }
            Self::Trial => f.write_str("waits for the running image to be blessed"),
            Self::Grace(until) => write!(f, "waits for the grace period: ends {until}"),
            Self::Delay(until) => write!(f, "waits for the delay: ends {until}"),
            Self::Metered(until) => write!(f, "waits for the metered limit: renewed {until}"),
            Self::PutOff(why, until) => write!(f, "waits to try again: {until}, after: {why}"),
            Self::RebootsWhenTold(mode) => {
                write!(f, "waits to be told to reboot: mode is \"{mode}\"")
            }
            Self::RebootsNever => f.write_str("waits to be rebooted: reboot is \"never\""),
            Self::ByHand(until) => {
                write!(f, "waits for whoever installed it by hand: reboots by itself from {until}")
            }
            Self::Window(opens) => write!(f, "waits for the window: opens {opens}"),
            Self::NoWindow => f.write_str("waits for a window: clocks skip every one"),
            Self::Inhibited(who, why) => write!(f, "inhibited by {who}: {why}"),
        }
    }
}
