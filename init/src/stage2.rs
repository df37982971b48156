//! Stage 2: the one loop of PID 1.
//!
//! It waits for signals, for what services say, for the kernel's word on corrupt blocks, and for the next deadline; then it
//! carries each to the pure part that decides ([`supervise`](crate::supervise), [`health`](crate::health)) and does what was
//! decided. It never waits for anything else: what may block is a child's, among the [`Jobs`].

use pintle_config::{Boot, Essential, OnCorruption, Reachable, Service, System};
use pintle_mount::corruption::Corruption;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{WaitOptions, WaitStatus, wait};
use rustix::time::Timespec;

use crate::clock;
use crate::ground;
use crate::handover::{Handover, WantsShell};
use crate::health::{Health, Reason, judge};
use crate::jobs::{Done, Jobs, Task};
use crate::power::{self, How};
use crate::report::{Event, Report};
use crate::senses::Senses;
use crate::shell::Shell;
use crate::status::{self, Status};
use crate::store;
use crate::supervise::Services;
use crate::supervise::machine::{Millis, Outcome};
use crate::update;
use crate::watchdog::{self, Guard};

/// What `pintle build` compiled from the image's configuration.
const SYSTEM: &str = "/usr/lib/pintle/system.bin";

/// An entry that has been healthy for so long is forgiven its unclean ends.
const SETTLED_AFTER: Millis = 10 * 60 * 1000;

/// As often are services restarted for corrupt blocks in one run.
const RESTARTS_MAX: u32 = 5;

/// How long after a blessing that failed the next one is tried, and how often.
const BLESS_PAUSE: Millis = 10_000;
const BLESSINGS_MAX: u32 = 6;

/// Children reaped in one turn, so that a storm of orphans cannot keep PID 1 from the rest.
const BURST_MAX: usize = 256;

/// The machine while it runs.
pub(crate) struct Stage2 {
    handover: Handover,
    boot: Boot,
    system: Timeouts,
    services: Services,
    health: Health,
    phase: Phase,
    jobs: Jobs,
    settle_at: Option<Millis>,
    bless_at: Option<Millis>,
    /// How often blessing failed.
    blessings: u32,
    kept: Kept,
    /// How often corrupt blocks had the services restarted.
    restarts: u32,
    senses: Senses,
    watchdog: Option<Guard>,
    shell: Option<Shell>,
    report: Report,
    status: Option<Status>,
}

struct Timeouts {
    min_ready: Millis,
    shutdown: Millis,
}

/// Whether a corrupt block had this run's report kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Yes,
    No,
}

/// How far the machine is on its way down.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// The entry is being put on trial again, because it is not healthy; the shutdown follows.
    Blaming,
    Stopping {
        how: How,
        deadline: Millis,
    },
    /// All services have ended; the clean shutdown is being noted.
    Noting {
        how: How,
    },
}

/// What stage 2 runs on.
struct Life {
    handover: Handover,
    boot: Boot,
    system: System,
}

/// Goes on where stage 1, or a life of PID 1 that ended, has left off.
pub(crate) fn resume() -> ! {
    let mut report = Report::open();
    match Life::found() {
        Ok(life) => {
            connect(&life, &mut report);
            run(life, report)
        }
        Err(cause) => {
            report.alert("stage 2", &cause.to_string());
            power::reset(How::Reboot)
        }
    }
}

/// Runs the services until the machine goes down.
fn run(life: Life, mut report: Report) -> ! {
    ground::prepare(&life.system, &mut report);
    let mut machine = Stage2::new(life, report);
    machine.announce();
    loop {
        machine.turn();
        machine.wait();
    }
}

impl Life {
    fn found() -> Result<Self, Box<dyn std::error::Error>> {
        let handover = Handover::read()?;
        let boot = Boot::from_bytes(&handover.boot)?;
        let mut system = System::from_bytes(&std::fs::read(SYSTEM)?)?;
        require_registry(&mut system, &handover.entry);
        Ok(Self { handover, boot, system })
    }
}

/// A new image that was fetched from a registry must reach one to be healthy: a machine that could not update any more
/// must not be called good.
fn require_registry(system: &mut System, entry: &str) {
    let required = system.update.as_ref().is_some_and(|it| it.reachable == Reachable::Required);
    let on_trial = entry.contains('+');
    if required && on_trial && store::has_origin(entry) {
        let is_updater = |service: &&mut Service| service.name.as_str() == update::SERVICE;
        system.services.iter_mut().filter(is_updater).for_each(|it| it.essential = Essential::Yes);
    }
}

fn connect(life: &Life, report: &mut Report) {
    report.limit_log(life.boot.log);
    if let Some(port) = &life.boot.report {
        report.connect(port.as_str(), life.handover.report_sent);
    }
}

impl Stage2 {
    fn new(life: Life, mut report: Report) -> Self {
        let Life { handover, boot, system } = life;
        let deadline = clock::milliseconds().saturating_add(boot.health_timeout(&system).get());
        Self {
            senses: Senses::open(&mut report),
            watchdog: watchdog::start(&boot, &mut report),
            system: Timeouts {
                min_ready: boot.min_ready(&system).get(),
                shutdown: system.shutdown_timeout.get(),
            },
            services: Services::new(system),
            health: Health::Pending { deadline },
            phase: Phase::Running,
            jobs: Jobs::default(),
            settle_at: None,
            bless_at: None,
            blessings: 0,
            kept: Kept::No,
            restarts: 0,
            shell: (handover.shell == WantsShell::Yes).then(Shell::new),
            handover,
            boot,
            report,
            status: None,
        }
    }

    fn announce(&mut self) {
        let memory_available = status::memory_available();
        let services = self.services.len();
        let entry = &self.handover.entry;
        self.report.event(&Event::Running { entry, services, memory_available });
    }

    /// Everything that is due now.
    fn turn(&mut self) {
        let now = clock::milliseconds();
        self.hear(now);
        self.services.advance(now, &mut self.report);
        self.work(now);
        match self.phase {
            Phase::Running => self.keep_running(now),
            Phase::Blaming => {}
            Phase::Stopping { how, deadline } => self.stop(how, deadline, now),
            Phase::Noting { how } => self.go_down_when_noted(how),
        }
        self.feed_watchdog();
        self.report.send();
        self.write_status();
    }

    /// `/run` is memory: a change costs no disk, and none is made where nothing has changed.
    fn write_status(&mut self) {
        let status = Status::of(&self.handover, self.health, self.services.listing());
        if self.status.as_ref() != Some(&status) && status.write().is_ok() {
            self.status = Some(status);
        }
    }

    /// Takes in what the world has said since the last turn.
    fn hear(&mut self, now: Millis) {
        for name in self.senses.ready_services() {
            self.services.said_ready(&name);
        }
        self.services.hear_execs(&mut self.report);
        self.reap(now);
        let root = self.handover.root.clone().into();
        let mut corruption = self.senses.corruption();
        corruption.retain(|block| block.is_of(&root));
        if !corruption.is_empty() {
            self.react(&corruption, now);
        }
        if let Some(how) = self.senses.shutdown_request() {
            self.begin_shutdown(how, now);
        }
    }

    /// Reaps every child that has ended, orphans too.
    fn reap(&mut self, now: Millis) {
        let ended = || wait(WaitOptions::NOHANG).ok().flatten();
        for (pid, status) in std::iter::from_fn(ended).take(BURST_MAX) {
            let outcome = outcome(status);
            if let Some((name, process)) = self.services.exited(pid, outcome, now) {
                let (status, signal) = (status.exit_status(), status.terminating_signal());
                self.report.event(&Event::Ended { name, process, status, signal });
            }
            self.shell.iter_mut().for_each(|shell| shell.exited(pid, now));
            if let Some((task, done)) = self.jobs.exited(pid, outcome) {
                self.follow(task, &done, now);
            }
        }
    }

    fn keep_running(&mut self, now: Millis) {
        if let Some(Err(error)) = self.shell.as_mut().map(|shell| shell.advance(now)) {
            self.report.alert("shell", &error.to_string());
        }
        self.watch_health(now);
    }

    fn watch_health(&mut self, now: Millis) {
        self.services.check_health(now, &mut self.report);
        let before = self.health;
        self.health = judge(before, self.services.essential(), now, self.system.min_ready);
        match (before, self.health) {
            (Health::Healthy, Health::Healthy) => self.settle(now),
            (_, Health::Healthy) => self.become_healthy(now),
            (_, Health::Unhealthy(reason)) => self.leave(reason),
            (_, Health::Pending { .. } | Health::Proving { .. }) => {}
        }
    }

    fn become_healthy(&mut self, now: Millis) {
        self.report.event(&Event::Healthy { entry: &self.handover.entry });
        self.settle_at = Some(now.saturating_add(SETTLED_AFTER));
        self.jobs.add(Task::Bless);
    }

    /// What is healthy and was not blessed for a full or slow disk would use up its tries.
    fn bless_again(&mut self, now: Millis) {
        if self.blessings < BLESSINGS_MAX {
            self.blessings += 1;
            self.bless_at = Some(now.saturating_add(BLESS_PAUSE));
        }
    }

    fn settle(&mut self, now: Millis) {
        if self.bless_at.take_if(|at| *at <= now).is_some() {
            self.jobs.add(Task::Bless);
        }
        if self.settle_at.take_if(|at| *at <= now).is_some() {
            self.jobs.add(Task::Settle);
        }
    }

    /// The entry is not healthy: it is put on trial again, and the next boot decides.
    fn leave(&mut self, reason: Reason) {
        self.health = Health::Unhealthy(reason);
        let reason = match reason {
            Reason::TooLate => format!("not ready in time: {}", self.services.unsound()),
            Reason::Lost(index) => format!("service {} has failed", self.services.name(index)),
            Reason::Corrupt => "a block of it is not what was signed".to_owned(),
        };
        self.report.event(&Event::Unhealthy { entry: &self.handover.entry, reason: &reason });
        self.phase = Phase::Blaming;
        if self.services.unsound() == update::SERVICE {
            self.jobs.add(Task::Unreached);
        }
        self.jobs.add(Task::Demote);
        self.jobs.add(Task::Keep);
    }

    /// Blocks that are met at once have one reaction.
    fn react(&mut self, corruption: &[Corruption], now: Millis) {
        let policy = self.reaction();
        let reaction = policy.as_str();
        for block in corruption {
            self.report.event(&Event::Corruption { source: &block.to_string(), reaction });
        }
        match policy {
            OnCorruption::Alert => self.keep_report(),
            OnCorruption::RestartService => {
                self.restarts += 1;
                self.services.restart_running();
                self.keep_report();
            }
            OnCorruption::Reboot if self.phase == Phase::Running => self.leave(Reason::Corrupt),
            OnCorruption::Reboot => {}
            OnCorruption::Stop => {
                self.keep_report();
                self.begin_shutdown(How::PowerOff, now);
            }
        }
    }

    /// Services that meet the block at each start would be restarted for ever.
    fn reaction(&self) -> OnCorruption {
        match self.boot.on_corruption {
            OnCorruption::RestartService if self.restarts >= RESTARTS_MAX => OnCorruption::Reboot,
            policy => policy,
        }
    }

    /// Once a run: blocks can go bad by the thousand, and flash wears out.
    fn keep_report(&mut self) {
        if self.kept == Kept::No {
            self.kept = Kept::Yes;
            self.jobs.add(Task::Keep);
        }
    }

    fn begin_shutdown(&mut self, how: How, now: Millis) {
        if matches!(self.phase, Phase::Stopping { .. } | Phase::Noting { .. }) {
            return;
        }
        self.report.event(&Event::ShuttingDown { how: how.word() });
        self.services.want_nothing();
        let deadline = now.saturating_add(self.system.shutdown);
        self.phase = Phase::Stopping { how, deadline };
    }

    fn stop(&mut self, how: How, deadline: Millis, now: Millis) {
        let services_left = self.services.stop_what_may(now, &mut self.report);
        if services_left > 0 && now < deadline {
            return;
        }
        self.report.event(&Event::Unmounting { services_left });
        self.phase = Phase::Noting { how };
        match self.health {
            Health::Unhealthy(_) => {}
            Health::Pending { .. } | Health::Proving { .. } | Health::Healthy => {
                self.jobs.add(Task::Clean);
            }
        }
    }

    fn go_down_when_noted(&mut self, how: How) {
        if self.jobs.are_done() {
            let watchdog = self.watchdog.take().map(|guard| guard.watchdog);
            power::go_down(how, watchdog, &mut self.report);
        }
    }

    fn work(&mut self, now: Millis) {
        if let Some((task, done)) = self.jobs.advance(now) {
            self.follow(task, &done, now);
        }
    }

    /// What comes after a task, whether it went well or not.
    fn follow(&mut self, task: Task, done: &Done, now: Millis) {
        match done {
            Done::Well => self.tell(task),
            Done::NotStarted(error) => self.report.alert(task.word(), &error.to_string()),
            Done::Failed => self.report.alert(task.word(), "the store could not be changed"),
            Done::TooLate => self.report.alert(task.word(), "the store does not answer"),
        }
        match (task, done) {
            (Task::Demote, _) => self.begin_shutdown(How::Reboot, now),
            (Task::Bless, Done::Well) => self.jobs.add(Task::Tidy),
            (Task::Bless, _) => self.bless_again(now),
            (Task::Tidy | Task::Keep | Task::Settle | Task::Clean | Task::Unreached, _) => {}
        }
    }

    fn tell(&mut self, task: Task) {
        match task {
            Task::Bless => self.become_good(),
            // A trial is one already; its name says so.
            Task::Demote if self.handover.entry.contains('+') => {}
            Task::Demote => {
                let (entry, reason) = (&self.handover.entry, "it failed while it ran");
                self.report.event(&Event::EntryDemoted { entry, reason });
            }
            Task::Tidy | Task::Keep | Task::Settle | Task::Clean | Task::Unreached => {}
        }
    }

    /// The entry has a good one's name now: one without counters.
    fn become_good(&mut self) {
        let length = self.handover.entry.find('+').unwrap_or(self.handover.entry.len());
        self.handover.entry.truncate(length);
        self.report.event(&Event::Blessed { entry: &self.handover.entry });
    }

    fn feed_watchdog(&mut self) {
        if let Some(guard) = &mut self.watchdog {
            guard.feed(&mut self.report);
        }
    }

    /// Sleeps until something happens or is due.
    fn wait(&mut self) {
        let timeout = self.timeout();
        let pipes: Vec<_> = self.services.exec_pipes().collect();
        let mut ready: Vec<_> =
            self.senses.descriptors().into_iter().chain(pipes).map(poll_in).collect();
        // Interrupted or failed, the next turn looks at everything anyway.
        poll(&mut ready, timeout.as_ref()).unwrap_or_default();
    }

    fn timeout(&self) -> Option<Timespec> {
        let now = clock::milliseconds();
        let next = [
            self.services.deadline(),
            self.jobs.deadline(),
            self.shell.as_ref().and_then(Shell::deadline).filter(|_| self.phase == Phase::Running),
            self.watchdog.as_ref().map(|guard| now.saturating_add(guard.pause)),
            self.phase_deadline(),
        ];
        let at = next.into_iter().flatten().min()?;
        let milliseconds = at.saturating_sub(now);
        Some(Timespec {
            tv_sec: i64::try_from(milliseconds / 1000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(milliseconds % 1000).unwrap_or(0) * 1_000_000,
        })
    }

    fn phase_deadline(&self) -> Option<Millis> {
        match (self.phase, self.health) {
            (Phase::Stopping { deadline, .. }, _) => Some(deadline),
            (Phase::Running, Health::Pending { deadline }) => {
                Some(deadline.min(self.services.health_deadline().unwrap_or(deadline)))
            }
            (Phase::Running, Health::Proving { until, .. }) => Some(until),
            (Phase::Running, Health::Healthy) => {
                self.settle_at.into_iter().chain(self.bless_at).min()
            }
            (Phase::Noting { .. }, _) => self.jobs.are_done().then_some(0),
            (Phase::Running | Phase::Blaming, _) => None,
        }
    }
}

fn poll_in(fd: rustix::fd::BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::from_borrowed_fd(fd, PollFlags::IN)
}

fn outcome(status: WaitStatus) -> Outcome {
    match status.exit_status() {
        Some(0) => Outcome::Success,
        Some(_) | None => Outcome::Failure,
    }
}
