//! The services of the machine: a table of state machines, and the loop's hands on them.
//!
//! [`machine`] is the life of one service and [`order`] whose turn it is; both are pure. [`process`] starts and ends
//! what runs. This file keeps the table and carries events to the machines and their actions to the hands.

pub(crate) mod machine;
mod order;
mod process;

use std::collections::VecDeque;

use pintle_config::{Essential as Importance, Kind, Restart, Service, System};
use pintle_sys::spawn::ExecOutcome;
use rustix::fd::BorrowedFd;
use rustix::process::Pid;

use crate::health::Essential;
use crate::report::{self, Report};
use machine::{Action, Event, Millis, Outcome, Policy, State};
use order::Turn;
use process::Process;
pub(crate) use process::{CGROUPS, NOTIFY_SOCKET};

/// All services, in the configuration's order, which is a start order.
pub(crate) struct Services {
    configured: Vec<Service>,
    units: Vec<Unit>,
    /// Events that actions brought about, answered before anything else: the machines never call each other.
    pending: VecDeque<(usize, Event)>,
}

/// One service as it is now.
struct Unit {
    state: State,
    policy: Policy,
    goal: Goal,
    process: Option<Process>,
    exec: Exec,
    checked: Checked,
}

/// Whether it is known how the last exec went.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Exec {
    Pending,
    Known,
}

/// What is wanted of a service.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    Run,
    Rest,
}

/// Whether a service's health command has passed since it became ready.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Checked {
    /// No; it is to run then.
    Due(Millis),
    Running(Pid),
    Passed,
}

/// How long after a health command has failed it runs again.
const HEALTH_PAUSE: Millis = 1_000;

impl Services {
    /// The services of `system`, all down; those that boot starts are wanted.
    pub(crate) fn new(system: System) -> Self {
        let started = system.started_at_boot();
        let unit = |(service, started): (&Service, &bool)| Unit::new(service, *started);
        let units = system.services.iter().zip(&started).map(unit).collect();
        Self { configured: system.services, units, pending: VecDeque::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.configured.len()
    }

    /// Starts what may start now, stops what has lost what it requires, and feeds every deadline that has passed.
    pub(crate) fn advance(&mut self, now: Millis, report: &mut Report) {
        for index in 0..self.units.len() {
            self.tick(index, now);
            self.start_if_due(index);
            self.stop_if_bereft(index);
        }
        self.settle(now, report);
    }

    /// The earliest moment at which [`advance`](Self::advance) has something to do by itself.
    pub(crate) fn deadline(&self) -> Option<Millis> {
        self.units.iter().filter_map(|unit| unit.state.deadline()).min()
    }

    /// The earliest moment at which [`check_health`](Self::check_health) has a command to run.
    pub(crate) fn health_deadline(&self) -> Option<Millis> {
        self.configured.iter().zip(&self.units).filter_map(|pair| health_due(pair.0, pair.1)).min()
    }

    /// A main process, or a health command, has ended.
    pub(crate) fn exited(&mut self, pid: Pid, outcome: Outcome, now: Millis) {
        for (index, unit) in self.units.iter_mut().enumerate() {
            if unit.checked == Checked::Running(pid) {
                unit.checked = verdict(outcome, now);
            } else if unit.process.as_ref().is_some_and(|process| process.pid() == pid) {
                self.pending.push_back((index, Event::Exited(outcome)));
            }
        }
    }

    /// A process of the service called `name` says that the service is ready.
    pub(crate) fn said_ready(&mut self, name: &str) {
        let named = self.configured.iter().position(|service| service.name.as_str() == name);
        if let Some(index) = named.filter(|index| self.is_notify(*index)) {
            self.pending.push_back((index, Event::Ready));
        }
    }

    /// The pipes that tell how an exec went, of those that have not told yet.
    pub(crate) fn exec_pipes(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let pending = self.units.iter().filter(|unit| unit.exec == Exec::Pending);
        pending.filter_map(|unit| unit.process.as_ref().map(Process::exec_pipe))
    }

    /// Hears how pending execs went.
    pub(crate) fn hear_execs(&mut self, report: &mut Report) {
        for (index, unit) in self.units.iter_mut().enumerate() {
            let Some(service) = self.configured.get(index) else { return };
            self.pending.extend(unit.hear_exec(service, report).map(|event| (index, event)));
        }
    }

    /// Restarts everything that has a process: what it has read may not be what was signed.
    pub(crate) fn restart_running(&mut self) {
        let running = |(_, unit): &(usize, &Unit)| unit.state.is_running();
        let indices = self.units.iter().enumerate().filter(running).map(|(index, _)| index);
        self.pending.extend(indices.map(|index| (index, Event::Restart)));
    }

    /// Nothing is wanted any more; [`stop_what_may`](Self::stop_what_may) then goes from the last to the first.
    pub(crate) fn want_nothing(&mut self) {
        for unit in &mut self.units {
            unit.goal = Goal::Rest;
        }
    }

    /// Tells those to stop that nothing depends on any more; the number that still have a process.
    pub(crate) fn stop_what_may(&mut self, now: Millis, report: &mut Report) -> usize {
        let states = self.states();
        for (index, unit) in self.units.iter().enumerate() {
            if is_stoppable(unit) && order::may_stop(index, &self.configured, &states) {
                self.pending.push_back((index, Event::Stop));
            }
        }
        self.settle(now, report);
        self.units.iter().filter(|unit| unit.state.is_running()).count()
    }

    /// What the essential services look like together.
    pub(crate) fn essential(&self) -> Essential {
        let essential = |index: &usize| {
            let service = self.configured.get(*index);
            service.is_some_and(|service| service.essential == Importance::Yes)
        };
        let mut all = (0..self.units.len()).filter(essential);
        if let Some(lost) = all.clone().find(|index| self.is_lost(*index)) {
            return Essential::Lost(lost);
        }
        if all.all(|index| self.is_sound(index)) { Essential::Ready } else { Essential::Waiting }
    }

    /// Runs the health commands of what is ready and has not been checked.
    pub(crate) fn check_health(&mut self, now: Millis, report: &mut Report) {
        for (service, unit) in self.configured.iter().zip(&mut self.units) {
            if health_due(service, unit).is_some_and(|due| due <= now) {
                unit.check_health(service, now, report);
            }
        }
    }

    pub(crate) fn name(&self, index: usize) -> &str {
        self.configured.get(index).map_or("?", |service| service.name.as_str())
    }

    /// Name and state of each service, for the status file.
    pub(crate) fn listing(&self) -> impl Iterator<Item = (&str, State)> {
        let names = self.configured.iter().map(|service| service.name.as_str());
        names.zip(self.units.iter().map(|unit| unit.state))
    }

    fn tick(&mut self, index: usize, now: Millis) {
        let due = self.units.get(index).and_then(|unit| unit.state.deadline());
        if due.is_some_and(|deadline| deadline <= now) {
            self.pending.push_back((index, Event::Tick));
        }
    }

    fn start_if_due(&mut self, index: usize) {
        let waiting = self
            .units
            .get(index)
            .is_some_and(|unit| unit.goal == Goal::Run && unit.state == State::Down);
        if waiting && order::turn(index, &self.configured, &self.states()) == Turn::Now {
            self.pending.push_back((index, Event::Start));
        }
    }

    fn stop_if_bereft(&mut self, index: usize) {
        if self.units.get(index).is_some_and(is_stoppable)
            && order::turn(index, &self.configured, &self.states()) == Turn::Never
        {
            self.pending.push_back((index, Event::Stop));
        }
    }

    /// Answers pending events until there are none; each answer lets others start.
    fn settle(&mut self, now: Millis, report: &mut Report) {
        while let Some((index, event)) = self.pending.pop_front() {
            self.feed(index, event, now, report);
            if self.pending.is_empty() {
                (0..self.units.len()).for_each(|index| self.start_if_due(index));
            }
        }
    }

    fn feed(&mut self, index: usize, event: Event, now: Millis, report: &mut Report) {
        let Some((service, unit)) = self.configured.get(index).zip(self.units.get_mut(index))
        else {
            return;
        };
        let before = unit.state;
        let (state, actions) = machine::step(before, event, now, &unit.policy);
        unit.state = state;
        for action in actions {
            if let Some(answer) = unit.act(action, service, report) {
                self.pending.push_back((index, answer));
            }
        }
        announce(service, before, unit.state, report);
    }

    fn states(&self) -> Vec<State> {
        self.units.iter().map(|unit| unit.state).collect()
    }

    fn is_notify(&self, index: usize) -> bool {
        self.units.get(index).is_some_and(|unit| unit.policy.kind == machine::Kind::Notify)
    }

    fn is_lost(&self, index: usize) -> bool {
        self.units.get(index).is_some_and(|unit| unit.state.is_lost())
            || order::turn(index, &self.configured, &self.states()) == Turn::Never
    }

    fn is_sound(&self, index: usize) -> bool {
        let checked = |unit: &Unit| {
            let has_command =
                self.configured.get(index).is_some_and(|service| service.health_command.is_some());
            unit.checked == Checked::Passed || !has_command
        };
        self.units.get(index).is_some_and(|unit| unit.state.is_ready() && checked(unit))
    }
}

impl Unit {
    fn new(service: &Service, started: bool) -> Self {
        Self {
            state: State::Down,
            policy: Policy::of(service),
            goal: if started { Goal::Run } else { Goal::Rest },
            process: None,
            exec: Exec::Known,
            checked: Checked::Due(0),
        }
    }

    /// Does what the machine decided; an event, where the doing itself was one.
    fn act(&mut self, action: Action, service: &Service, report: &mut Report) -> Option<Event> {
        match action {
            Action::Spawn => return self.spawn(service, report),
            Action::Terminate => self.signal(service.stop_signal.number()),
            Action::Kill => self.kill(report),
            Action::Sweep => self.sweep(),
            Action::AnnounceReady | Action::AnnounceFailed | Action::Ignore => {}
        }
        None
    }

    fn spawn(&mut self, service: &Service, report: &mut Report) -> Option<Event> {
        self.checked = Checked::Due(0);
        match Process::spawn(service) {
            Ok(process) => {
                self.process = Some(process);
                self.exec = Exec::Pending;
                None
            }
            Err(error) => {
                report.alert(service.name.as_str(), &error.to_string());
                Some(Event::Exited(Outcome::Failure))
            }
        }
    }

    /// A failed exec is told of here; its exit follows like any other.
    fn hear_exec(&mut self, service: &Service, report: &mut Report) -> Option<Event> {
        if self.exec == Exec::Known {
            return None;
        }
        let outcome = self.process.as_ref()?.exec_outcome();
        if outcome == Ok(ExecOutcome::Pending) {
            return None;
        }
        self.exec = Exec::Known;
        match outcome {
            Ok(ExecOutcome::Failed(error)) => {
                report.alert(service.name.as_str(), &error.to_string())
            }
            Err(error) => report.alert(service.name.as_str(), &error.to_string()),
            Ok(ExecOutcome::Pending | ExecOutcome::Done) => {}
        }
        let ready = outcome == Ok(ExecOutcome::Done) && self.policy.kind == machine::Kind::Exec;
        ready.then_some(Event::Ready)
    }

    fn check_health(&mut self, service: &Service, now: Millis, report: &mut Report) {
        let Some(command) = &service.health_command else { return };
        self.checked = match process::run_beside(service, command) {
            Ok(pid) => Checked::Running(pid),
            Err(error) => {
                report.alert(service.name.as_str(), &error.to_string());
                verdict(Outcome::Failure, now)
            }
        };
    }

    fn signal(&self, signal: u8) {
        if let Some(process) = &self.process {
            process.signal(signal);
        }
    }

    fn kill(&self, report: &mut Report) {
        if let Some(Err(error)) = self.process.as_ref().map(Process::kill_all) {
            report.alert("cgroup", &error.to_string());
        }
    }

    fn sweep(&mut self) {
        if let Some(process) = self.process.take() {
            process.sweep();
        }
    }
}

impl Policy {
    fn of(service: &Service) -> Self {
        Self {
            kind: match service.kind {
                Kind::Exec => machine::Kind::Exec,
                Kind::Oneshot => machine::Kind::Oneshot,
                Kind::Notify => machine::Kind::Notify,
            },
            restart: match service.restart {
                Restart::Never => machine::Restart::Never,
                Restart::OnFailure => machine::Restart::OnFailure,
                Restart::Always => machine::Restart::Always,
            },
            start_timeout: Some(service.start_timeout.get()),
            stop_timeout: service.stop_timeout.get(),
            backoff_first: service.restart_delay.get(),
            backoff_max: service.restart_delay_max.get(),
            start_burst: u32::try_from(service.start_limit_burst.get()).unwrap_or(u32::MAX),
            start_interval: service.start_limit_interval.get(),
        }
    }
}

/// Whether it runs, or would again, and has not been told to end.
fn is_stoppable(unit: &Unit) -> bool {
    matches!(unit.state, State::Starting { .. } | State::Up { .. } | State::Pausing { .. })
}

/// When the service's health command is to run, if it has one that is to run at all.
fn health_due(service: &Service, unit: &Unit) -> Option<Millis> {
    match (&service.health_command, unit.checked) {
        (Some(_), Checked::Due(at)) if unit.state.is_ready() => Some(at),
        _ => None,
    }
}

fn verdict(outcome: Outcome, now: Millis) -> Checked {
    match outcome {
        Outcome::Success => Checked::Passed,
        Outcome::Failure => Checked::Due(now.saturating_add(HEALTH_PAUSE)),
    }
}

fn announce(service: &Service, before: State, after: State, report: &mut Report) {
    let (before, after) = (before.name(), after.name());
    if before != after {
        report.event(&report::Event::Service { name: service.name.as_str(), state: after });
    }
}
