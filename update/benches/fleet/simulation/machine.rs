use std::time::Duration;

use pintle_update::EntryName;
use pintle_update::schedule::{
    Action, Circumstances, Event, Found, Job, MachineId, Now, Policy, Running, Updater, Wall, Why,
    decide,
};

use super::registry::{Answer, Registry};
use super::{MONDAY, SETTLING};

/// From the order to reboot until the service runs again, in milliseconds.
pub(crate) const REBOOT: u64 = 30_000;

/// A check of a tag that names the same as before: one request, answered 304.
const UNCHANGED: u32 = 1;
/// Of one that names something else: index, manifest, seal.
const CHANGED: u32 = 3;
/// A download: the manifest again, its offset table, and two ranges.
const DOWNLOAD: u32 = 4;

/// More turns than this without a wait are one that never ends.
const TURNS_MAX: usize = 20;

/// One machine.
pub(crate) struct Machine {
    policy: Policy,
    updater: Updater,
    /// When it was booted, in milliseconds.
    booted: u64,
    running: Running,
    sequence: u64,
    /// The newest that is installed.
    installed: u64,
    /// Which of the tag's names it has seen last.
    known: Option<usize>,
    /// When the registry has served a check last, in milliseconds.
    pub(crate) served: Option<u64>,
    /// Before this, in milliseconds, the registry does not want to see it.
    not_before: u64,
    /// How often it came all the same.
    pub(crate) impatient: u64,
    /// When it has something to do again, in milliseconds.
    pub(crate) wakes: u64,
}

/// What a machine's turn ends with.
pub(crate) enum Ends {
    Waits,
    Reboots,
}

impl Machine {
    pub(crate) fn new(policy: Policy, booted: u64) -> Self {
        let updater = Updater::at_boot(&policy);
        Self {
            policy,
            updater,
            booted,
            running: Running::Good,
            sequence: 0,
            installed: 0,
            known: None,
            served: None,
            not_before: 0,
            impatient: 0,
            wakes: booted,
        }
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    pub(crate) fn id(&self) -> &MachineId {
        &self.policy.machine
    }

    /// How long ago the running image was blessed, if that was in this boot.
    pub(crate) fn blessed_for(&self, at: u64) -> Option<Duration> {
        match self.running {
            Running::Trial => Some(Duration::ZERO),
            Running::Blessed(then) => Some(self.now(at).since_boot - then),
            Running::Good => None,
        }
    }

    /// Does what is due at this moment, in milliseconds.
    pub(crate) fn turn(&mut self, registry: &mut Registry, at: u64) -> Ends {
        for _ in 0..TURNS_MAX {
            let around =
                Circumstances { running: self.running, hold: None, inhibitors: Vec::new() };
            let decision = decide(&self.updater, &around, &self.policy, self.now(at));
            match decision.action {
                Action::Check => self.check(registry, at),
                Action::Download { .. } => self.download(registry, at),
                Action::Install => self.install(registry, at),
                Action::Reboot => return Ends::Reboots,
                Action::Idle | Action::Wait(_) => {
                    self.wakes = self.at(decision.again);
                    return Ends::Waits;
                }
            }
        }
        panic!("a machine does not come to rest: {:?}", self.updater);
    }

    /// Boots what boots next, at this moment in milliseconds.
    pub(crate) fn boot(&mut self, at: u64) {
        (self.booted, self.wakes, self.known) = (at, at, None);
        if self.installed > self.sequence {
            self.sequence = self.installed;
            self.running = Running::Trial;
        }
        match self.running {
            Running::Trial => self.updater = Updater::on_trial(&self.policy),
            Running::Blessed(_) | Running::Good => {
                self.running = Running::Good;
                self.updater = Updater::at_boot(&self.policy);
            }
        }
    }

    fn check(&mut self, registry: &mut Registry, at: u64) {
        self.happened(Event::Started(Job::Check), at);
        let tag = registry.tag(at);
        let named = tag.map(|(index, _)| index);
        let requests = if named == self.known { UNCHANGED } else { CHANGED };
        let answer = self.ask(registry, at, requests);
        self.reached(answer, at);
        if let Err((why, retry_after)) = refusal(answer) {
            return self.happened(Event::Unreachable { why, retry_after }, at);
        }
        self.known = named;
        self.served = Some(at);
        let event = match tag {
            Some((_, tag)) if tag.sequence > self.installed => Event::Newer(Found {
                sequence: tag.sequence,
                version: tag.sequence.to_string(),
                rollout: tag.rollout.try_into().expect("percent"),
                known_for: Duration::ZERO,
            }),
            Some(_) | None => Event::NothingNewer,
        };
        self.happened(event, at);
    }

    fn ask(&mut self, registry: &mut Registry, at: u64, requests: u32) -> Answer {
        self.impatient += u64::from(at < self.not_before);
        let answer = registry.ask(at, requests);
        if let Answer::SentAway(wait) = answer {
            self.not_before = at + wait.as_millis() as u64;
        }
        answer
    }

    /// A registry that sends a machine away has been reached.
    fn reached(&mut self, answer: Answer, at: u64) {
        if self.running == Running::Trial && answer != Answer::Unreachable {
            self.running = Running::Blessed(self.now(at).since_boot);
        }
    }

    fn download(&mut self, registry: &mut Registry, at: u64) {
        self.happened(Event::Started(Job::Download), at);
        let event = match refusal(self.ask(registry, at, DOWNLOAD)) {
            Ok(()) => Event::Fetched,
            Err((why, retry_after)) => Event::Failed { why, retry_after },
        };
        self.happened(event, at);
    }

    fn install(&mut self, registry: &Registry, at: u64) {
        self.installed = registry.tag(at).expect("something is named").1.sequence;
        let entry: EntryName = format!("{0}_{0}+3-0", self.installed).parse().expect("a name");
        self.happened(Event::Installed(entry), at);
    }

    fn happened(&mut self, event: Event, at: u64) {
        self.updater = self.updater.clone().after(event, self.now(at), &self.policy);
    }

    fn now(&self, at: u64) -> Now {
        let since_monday = (at / 1000) as i64 - SETTLING as i64;
        let since_boot = Duration::from_millis(at - self.booted);
        Now { since_boot, wall: Wall(MONDAY + since_monday) }
    }

    /// Rounded up: nobody wakes before the time that was said.
    fn at(&self, since_boot: Option<Duration>) -> u64 {
        let wait = since_boot.map(|wait| wait.as_nanos().div_ceil(1_000_000) as u64);
        wait.map_or(u64::MAX, |wait| self.booted + wait)
    }
}

fn refusal(answer: Answer) -> Result<(), (Why, Option<Duration>)> {
    match answer {
        Answer::Served => Ok(()),
        Answer::SentAway(wait) => Err((Why::new("503 Service Unavailable"), Some(wait))),
        Answer::Unreachable => Err((Why::new("connection refused"), None)),
    }
}
