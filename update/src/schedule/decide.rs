use std::fmt;
use std::time::Duration;

use super::{
    Found, Mode, Now, Policy, Reason, Reboots, Release, Turn, Updater, Wall, Why, includes,
};

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The action.
    pub action: Action,
    /// When to decide again if nothing happens until then, since boot; none where only an event can
    /// change the decision.
    pub again: Option<Duration>,
}

/// What a machine can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing: there is no release to take.
    Idle,
    /// Ask the registry.
    Check,
    /// Fetch what is missing of the release.
    Download {
        /// The most bytes that may be fetched.
        at_most: Option<u64>,
    },
    /// Install the release, if the hook agrees.
    Install,
    /// Reboot into the staged entry.
    Reboot,
    /// Nothing, though there is something to do.
    Wait(Reason),
}

/// What others say, and how the running image stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// The running image.
    pub running: Running,
    /// An operator's word to leave the machine as it is.
    pub hold: Option<Why>,
    /// Who is against a reboot.
    pub inhibitors: Vec<Inhibitor>,
}

/// How the running image stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Running {
    /// It has not been blessed yet.
    Trial,
    /// It was blessed in this boot, then.
    Blessed(Duration),
    /// It was good before this boot.
    Good,
}

/// Somebody who is against a reboot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inhibitor {
    /// Who.
    pub who: Why,
    /// Why.
    pub why: Why,
}

/// The longest time without a decision while a time of day is waited for, whose clock may jump.
const AGAIN_MAX: Duration = Duration::from_secs(3600);

/// What the machine does by itself now: total, and nothing else decides.
///
/// A check goes first, because it may find something better to do. A staged entry goes before a
/// newer release: it is safer to boot one that is here.
pub fn decide(updater: &Updater, around: &Circumstances, policy: &Policy, now: Now) -> Decision {
    let case = Case { updater, around, policy, now };
    let reboot = case.staged();
    let release = case.release();
    if let Some(closed) = case.nothing_at_all() {
        return closed.decision(None);
    }
    let due = updater.poll.due();
    match (reboot, release) {
        _ if due <= now.since_boot => Action::Check.at_once(),
        (Some(Ok(action)), _) | (_, Some(Ok(action))) => action.at_once(),
        (Some(Err(closed)), None) | (None, Some(Err(closed))) => closed.decision(Some(due)),
        (Some(Err(closed)), Some(Err(also))) => {
            let again = also.until.map_or(due, |until| until.min(due));
            closed.decision(Some(again))
        }
        (None, None) => Decision { action: Action::Idle, again: Some(due) },
    }
}

struct Case<'c> {
    updater: &'c Updater,
    around: &'c Circumstances,
    policy: &'c Policy,
    now: Now,
}

/// A gate that is closed: why, and until when, since boot, if time opens it.
struct Closed {
    reason: Reason,
    until: Option<Duration>,
}

type Step = Result<Action, Closed>;

impl Case<'_> {
    fn nothing_at_all(&self) -> Option<Closed> {
        let busy = self.updater.job.map(|job| closed(Reason::Busy(job)));
        busy.or_else(|| (self.policy.mode == Mode::Off).then(|| closed(Reason::Off)))
    }

    /// What to do with the staged entry, where there is one.
    fn staged(&self) -> Option<Step> {
        let staged = self.updater.staged.as_ref()?;
        let gates = [
            self.reboots_not_by_itself(),
            self.held(),
            self.unsettled(),
            self.before(staged.from, Reason::ByHand),
            self.not_its_turn(),
            self.inhibited(),
        ];
        Some(first(gates).map_or(Ok(Action::Reboot), Err))
    }

    /// What to do with the release, where there is one.
    fn release(&self) -> Option<Step> {
        let (found, ripe) = self.updater.release.known()?;
        let gates = [
            self.installs_not_by_itself(),
            self.held(),
            self.not_rolled_out(found),
            self.unsettled(),
            self.too_new(ripe),
            self.put_off(),
        ];
        Some(first(gates).map_or_else(|| self.next_step(), Err))
    }

    fn next_step(&self) -> Step {
        match &self.updater.release {
            Release::Nothing => Ok(Action::Idle),
            Release::Seen(..) => self.download(),
            Release::Fetched(..) => Ok(Action::Install),
        }
    }

    fn download(&self) -> Step {
        let meter = self.updater.meter;
        let left = self.policy.metered.map(|limit| meter.left(limit, self.now.since_boot));
        match left {
            Some(0) => Err(self.until(meter.renewed(), Reason::Metered)),
            at_most => Ok(Action::Download { at_most }),
        }
    }

    fn installs_not_by_itself(&self) -> Option<Closed> {
        match self.policy.mode {
            Mode::Apply | Mode::Download => None,
            Mode::Check => Some(closed(Reason::InstallsWhenTold(Mode::Check))),
            Mode::Off => Some(closed(Reason::Off)),
        }
    }

    fn reboots_not_by_itself(&self) -> Option<Closed> {
        match (self.policy.mode, self.policy.reboots) {
            (Mode::Off, _) => Some(closed(Reason::Off)),
            (mode @ (Mode::Check | Mode::Download), _) => {
                Some(closed(Reason::RebootsWhenTold(mode)))
            }
            (Mode::Apply, Reboots::Never) => Some(closed(Reason::RebootsNever)),
            (Mode::Apply, Reboots::Window) => None,
        }
    }

    fn held(&self) -> Option<Closed> {
        self.around.hold.clone().map(|why| closed(Reason::Held(why)))
    }

    fn not_rolled_out(&self, found: &Found) -> Option<Closed> {
        let is_in = includes(&self.policy.machine, found.sequence, found.rollout);
        (!is_in).then(|| closed(Reason::Rollout(found.rollout)))
    }

    /// The release before this one is what the machine falls back to until this one has proved
    /// itself.
    fn unsettled(&self) -> Option<Closed> {
        match self.around.running {
            Running::Trial => Some(closed(Reason::Trial)),
            Running::Good => None,
            Running::Blessed(at) => {
                self.before(at.saturating_add(self.policy.grace), Reason::Grace)
            }
        }
    }

    fn too_new(&self, ripe: Duration) -> Option<Closed> {
        self.before(ripe, Reason::Delay)
    }

    fn put_off(&self) -> Option<Closed> {
        let put_off = self.updater.put_off.as_ref()?;
        self.before(put_off.until, |wall| Reason::PutOff(put_off.why.clone(), wall))
    }

    fn not_its_turn(&self) -> Option<Closed> {
        match self.policy.calendar.turn(&self.policy.machine, self.now.wall) {
            Turn::Now => None,
            Turn::Never => Some(closed(Reason::NoWindow)),
            Turn::At(wall) => {
                let again = self.now.since_boot.saturating_add(AGAIN_MAX);
                let until = Some(self.now.since_boot_at(wall).min(again));
                Some(Closed { reason: Reason::Window(wall), until })
            }
        }
    }

    fn inhibited(&self) -> Option<Closed> {
        let Inhibitor { who, why } = self.around.inhibitors.first()?.clone();
        Some(closed(Reason::Inhibited(who, why)))
    }

    fn before(&self, until: Duration, reason: impl FnOnce(Wall) -> Reason) -> Option<Closed> {
        (self.now.since_boot < until).then(|| self.until(until, reason))
    }

    fn until(&self, until: Duration, reason: impl FnOnce(Wall) -> Reason) -> Closed {
        Closed { reason: reason(self.now.wall_at(until)), until: Some(until) }
    }
}

fn closed(reason: Reason) -> Closed {
    Closed { reason, until: None }
}

fn first<const GATES: usize>(gates: [Option<Closed>; GATES]) -> Option<Closed> {
    gates.into_iter().flatten().next()
}

impl Closed {
    /// What it decides, where something else is due at another time.
    fn decision(self, due: Option<Duration>) -> Decision {
        let again = [self.until, due].into_iter().flatten().min();
        Decision { action: Action::Wait(self.reason), again }
    }
}

impl Action {
    fn at_once(self) -> Decision {
        Decision { action: self, again: None }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle => f.write_str("idle"),
            Self::Check => f.write_str("check"),
            Self::Download { at_most: None } => f.write_str("download"),
            Self::Download { at_most: Some(bytes) } => write!(f, "download at most {bytes} bytes"),
            Self::Install => f.write_str("install"),
            Self::Reboot => f.write_str("reboot"),
            Self::Wait(reason) => reason.fmt(f),
        }
    }
}
