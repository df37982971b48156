//! `pintlectl updater`: the service that keeps the machine up to date by itself. The schedule decides what is due; here it is
//! done, and what came of it is told to the schedule.

use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pintle_update::schedule::{
    Action, Circumstances, Decision, Event as Happened, Found, Inhibitor, Job, Mode, Now, Policy,
    Running, Status as OfSchedule, Updater as Schedule, Wall, Why, decide,
};
use pintle_update::worker::{Said, printable};
use pintle_update::{BadSeals, EntryName, EntryState, Hold, Installed};
use rustix::process::Pid;

use super::source::Origin;
use super::status::{LastError, Status};
use super::{
    Candidate, Error, News, Standing, Updater, chances, first_seen, inhibitors, notify, policy,
    prune, scrub,
};
use crate::clock;
use crate::power::How;
use crate::report::{Event, Report};
use crate::store;

/// The longest sleep: holds, inhibitors and the clock can change at any time.
const NAP: Duration = Duration::from_secs(30);

/// The updater at work.
struct Daemon {
    updater: Updater,
    policy: Policy,
    schedule: Schedule,
    origin: Origin,
    candidate: Option<Candidate>,
    /// What the tag named at the last look that found something, whatever became of it.
    seen: Option<Candidate>,
    scrub: scrub::Scrubber,
    report: Report,
    readiness: Readiness,
    last_error: Option<LastError>,
    shown: Option<Status>,
}

/// Whether the service has said that it is ready: that it can reach its registry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Readiness {
    Said,
    Unsaid,
}

/// Works until the machine goes down.
pub(crate) fn run() -> Result<String, Error> {
    let updater = Updater::here()?;
    let Some(settings) = updater.settings.clone() else {
        return Err(Error::FollowsNothing);
    };
    let policy = policy::of(&settings, super::machine_id::of_this_machine());
    let schedule = match updater.machine.is_on_trial()? {
        true => Schedule::on_trial(&policy),
        false => Schedule::at_boot(&policy),
    };
    let mut daemon = Daemon {
        origin: Origin::Registry(settings.from.to_string()),
        scrub: scrub::Scrubber::new(&settings),
        candidate: None,
        seen: None,
        report: Report::open(),
        readiness: Readiness::Unsaid,
        last_error: None,
        shown: None,
        updater,
        policy,
        schedule,
    };
    // Nobody asks the registry here, so that it can tell nothing about the image.
    if daemon.policy.mode == Mode::Off {
        daemon.reached();
    }
    loop {
        let nap = daemon.turn();
        sleep(nap);
    }
}

impl Daemon {
    /// Does what is due, and returns how long nothing is.
    fn turn(&mut self) -> Duration {
        self.look_at_store();
        let around = self.around();
        let decision = decide(&self.schedule, &around, &self.policy, now());
        self.tell(&decision, &around);
        match decision.action {
            Action::Check => self.check(),
            Action::Download { at_most } => self.download(at_most),
            Action::Install => self.install(),
            Action::Reboot => self.reboot(),
            Action::Idle | Action::Wait(_) => return self.idle(decision.again),
        }
        Duration::ZERO
    }

    /// Whoever else installs, rejects or removes entries tells nobody.
    fn look_at_store(&mut self) {
        match self.updater.machine.staged() {
            Ok(next) => self.happened(Happened::BootsNext(next)),
            Err(error) => self.alert(&error.to_string()),
        }
    }

    fn idle(&mut self, again: Option<Duration>) -> Duration {
        self.prune();
        if let Some(damaged) = self.scrub.turn(&self.updater.machine) {
            self.report.alert("scrub", &damaged);
        }
        let wait = again.map_or(NAP, |again| again.saturating_sub(now().since_boot));
        wait.min(self.scrub.nap()).clamp(Duration::from_millis(10), NAP)
    }

    fn around(&self) -> Circumstances {
        let inhibitor =
            |(who, why): (String, String)| Inhibitor { who: Why::new(&who), why: Why::new(&why) };
        Circumstances {
            running: self.running(),
            hold: self.hold(),
            inhibitors: inhibitors::list().into_iter().map(inhibitor).collect(),
        }
    }

    /// A hold that cannot be read may be there.
    fn hold(&self) -> Option<Why> {
        match self.updater.machine.store.trust() {
            Ok(trust) => (trust.hold == Hold::On).then(|| Why::new("pintlectl hold")),
            Err(error) => Some(Why::new(&error.to_string())),
        }
    }

    /// A store that cannot be read is none to install to: the running image counts as on trial.
    fn running(&self) -> Running {
        match self.updater.machine.is_on_trial() {
            Ok(false) => match store::blessed_at() {
                Some(at) => Running::Blessed(at),
                None => Running::Good,
            },
            Ok(true) | Err(_) => Running::Trial,
        }
    }

    /// What is not kept goes once the running image has proved itself, and not while a newer one has not been tried.
    fn prune(&mut self) {
        let is_due = prune::is_due(self.running(), &self.policy, now());
        if !is_due || self.schedule.staged.is_some() {
            return;
        }
        match self.updater.prune() {
            Ok(pruned) => {
                for entry in pruned {
                    self.report.event(&Event::EntryPruned { entry: &entry.to_string() });
                }
            }
            Err(error) => self.alert(&error.to_string()),
        }
    }

    fn check(&mut self) {
        self.happened(Happened::Started(Job::Check));
        let event = match self.updater.check(&self.origin) {
            Ok(News::Unchanged) => self.unchanged(),
            Ok(News::Release(candidate)) => {
                self.seen = Some((*candidate).clone());
                self.found(*candidate)
            }
            Err(error) => self.failed_check(&error),
        };
        // A registry that sends its machines away is there, and no fault of the image's.
        if !matches!(event, Happened::Unreachable { retry_after: None, .. }) {
            self.reached();
        }
        self.happened(event);
        self.judge_unreached();
    }

    /// The registry has nothing else than at the last check; it may stand otherwise to this machine now.
    fn unchanged(&mut self) -> Happened {
        match self.seen.clone() {
            Some(candidate) => self.found(candidate),
            None => Happened::NothingNewer,
        }
    }

    /// What was found before is no more: the tag names this.
    fn found(&mut self, candidate: Candidate) -> Happened {
        self.candidate = None;
        match self.updater.standing(&candidate) {
            Ok(Standing::Newer) => {}
            Ok(Standing::Installed(entry)) => return self.installed_already(&entry, &candidate),
            Ok(Standing::Older) => return self.older(&candidate),
            Err(error) => return self.refuse(&error),
        }
        if let Err(error) = self.updater.admit(&candidate) {
            return self.refuse(&error);
        }
        let (version, sequence) = (candidate.seal.version.to_string(), candidate.seal.sequence);
        self.report.event(&Event::UpdateFound { version: &version, sequence });
        let known_for = first_seen::known_for(sequence);
        let found = Found { sequence, version, rollout: candidate.seal.rollout, known_for };
        self.candidate = Some(candidate);
        Happened::Newer(found)
    }

    /// Its seal may be a newer one, with another rollout or floor.
    fn installed_already(&mut self, entry: &EntryName, candidate: &Candidate) -> Happened {
        match self.updater.install((&self.origin, candidate), BadSeals::Refuse, &mut |_| {}) {
            Ok(Installed::Resealed(entry)) => {
                self.report.event(&Event::UpdateInstalled { entry: &entry.to_string() });
            }
            Ok(_) => {}
            // What was rejected or is bad stays so, and is no news.
            Err(_) if !matches!(entry.state(), EntryState::Good | EntryState::Trial { .. }) => {}
            Err(error) => return self.refuse(&error),
        }
        Happened::NothingNewer
    }

    fn older(&mut self, candidate: &Candidate) -> Happened {
        let sequence = candidate.seal.sequence;
        self.alert(&format!(
            "the tag {} names release {sequence}, which is older than what is installed",
            self.origin
        ));
        Happened::NothingNewer
    }

    /// The registry answers, with something that is not to be installed.
    fn refuse(&mut self, error: &Error) -> Happened {
        self.alert(&error.to_string());
        Happened::NothingNewer
    }

    fn failed_check(&mut self, error: &Error) -> Happened {
        self.alert(&error.to_string());
        match error {
            // The registry says what its tag names, and that is nothing for this machine.
            Error::NoRelease { .. } | Error::Store(_) => Happened::NothingNewer,
            _ => Happened::Unreachable {
                why: Why::new(&error.to_string()),
                retry_after: error.retry_after(),
            },
        }
    }

    fn download(&mut self, at_most: Option<u64>) {
        let Some(candidate) = self.candidate.take() else { return self.happened(Happened::Lost) };
        self.happened(Happened::Started(Job::Download));
        let before = self.updater.traffic.received;
        let report = &mut self.report;
        let mut heard = |said: &Said| report_way(report, said);
        self.updater.budget = at_most;
        let done = self.updater.download((&self.origin, &candidate), BadSeals::Refuse, &mut heard);
        self.updater.budget = None;
        self.candidate = Some(candidate);
        let received = self.updater.traffic.received.saturating_sub(before);
        self.happened(Happened::Received(received));
        match done {
            Ok(()) => self.happened(Happened::Fetched),
            Err(Error::Spent) => self.happened(Happened::Spent),
            Err(error) => self.failed(&error),
        }
    }

    fn install(&mut self) {
        let Some(candidate) = self.candidate.take() else { return self.happened(Happened::Lost) };
        self.happened(Happened::Started(Job::Install));
        match self.updater.install((&self.origin, &candidate), BadSeals::Refuse, &mut |_| {}) {
            Ok(installed) => self.installed(&installed),
            Err(error) => {
                self.candidate = Some(candidate);
                self.failed(&error);
            }
        }
    }

    fn installed(&mut self, installed: &Installed) {
        let (Installed::New(entry)
        | Installed::Resealed(entry)
        | Installed::Already(entry)
        | Installed::Retried(entry)
        | Installed::Mended(entry)) = installed;
        self.report.event(&Event::UpdateInstalled { entry: &entry.to_string() });
        self.happened(Happened::Installed(entry.clone()));
    }

    fn failed(&mut self, error: &Error) {
        let why = error.to_string();
        self.alert(&why);
        self.happened(Happened::Failed { why: Why::new(&why), retry_after: error.retry_after() });
    }

    fn reboot(&mut self) {
        let entry = self.schedule.staged.as_ref().map(|staged| staged.entry.to_string());
        let entry = entry.unwrap_or_default();
        self.report.event(&Event::UpdateReboot { entry: &entry });
        if let Err(error) = pintle_sys::signals::send(Pid::INIT, How::Reboot.signal()) {
            self.alert(&format!("cannot signal PID 1: {}", error.errno));
        }
        // PID 1 stops this service; what it waits for is not to be asked for again meanwhile.
        sleep(NAP);
    }

    fn reached(&mut self) {
        if self.readiness == Readiness::Unsaid {
            self.readiness = Readiness::Said;
            if let Err(cause) = notify::ready() {
                self.alert(&format!("cannot tell PID 1 that the registry was reached: {cause}"));
            }
        }
    }

    /// Entries that were left because they did not reach their registry: if it is reached from here they were to
    /// blame, and if not, they are tried again, each time after a longer while.
    fn judge_unreached(&mut self) {
        let judged = match self.schedule.poll.failures() {
            0 => {
                chances::forget();
                self.updater.machine.condemn_unreached()
            }
            failures if failures < chances::failures_needed() => Ok(Vec::new()),
            _ => self.updater.machine.acquit_unreached(),
        };
        if let Err(error) = judged {
            self.alert(&error.to_string());
        }
    }

    fn happened(&mut self, event: Happened) {
        let schedule = self.schedule.clone();
        self.schedule = schedule.after(event, now(), &self.policy);
    }

    /// The same alert is told once in a row.
    fn alert(&mut self, cause: &str) {
        let cause = printable(cause);
        if self.last_error.as_ref().is_none_or(|last| last.cause != cause) {
            self.report.alert("update", &cause);
        }
        self.last_error = Some(LastError { at: now().wall, cause });
    }

    /// Says what is new.
    fn tell(&mut self, decision: &Decision, around: &Circumstances) {
        let status = self.status(decision).with(around);
        if self.shown.as_ref() == Some(&status) {
            return;
        }
        // `/run` is memory; when it is full, the status is an old one.
        status.write().unwrap_or_default();
        notify::status(&decision.action.to_string());
        self.shown = Some(status);
    }

    fn status(&self, decision: &Decision) -> Status {
        Status {
            from: self.origin.to_string(),
            mode: self.policy.mode.to_string(),
            schedule: OfSchedule::new(&self.schedule, decision, now()),
            last_error: self.last_error.clone(),
            hold: None,
            inhibitors: Vec::new(),
        }
    }
}

fn report_way(report: &mut Report, said: &Said) {
    if let Said::Way(way) = said {
        report.event(&Event::UpdateWay { way: &printable(way) });
    }
}

fn now() -> Now {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Now {
        since_boot: Duration::from_millis(clock::milliseconds()),
        wall: Wall(i64::try_from(wall).unwrap_or(i64::MAX)),
    }
}
