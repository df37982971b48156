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
use machine::{Action, Event, Millis, Outcome, Policy, State, Then};
use order::{Goal, Turn, View};
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
        let goal = |started: &bool| if *started { Goal::Run } else { Goal::Rest };
        let goals = started.iter().map(goal);
        let units = system.services.iter().zip(goals).map(|(it, goal)| Unit::new(it, goal));
        let units = units.collect();
        Self { configured: system.services, units, pending: VecDeque::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.configured.len()
    }

    /// Starts what may start now, stops what has lost what it requires, and feeds every deadline that has passed.
    pub(crate) fn advance(&mut self, now: Millis, report: &mut Report) {
        (0..self.units.len()).for_each(|index| self.tick(index, now));
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

    /// A child has ended; the service's name and what of it that was, if it was a service's.
    pub(crate) fn exited(
        &mut self,
        pid: Pid,
        outcome: Outcome,
        now: Millis,
    ) -> Option<(&str, &'static str)> {
        let (index, unit) = self.units.iter_mut().enumerate().find(|(_, unit)| unit.has(pid))?;
        let process = if unit.checked == Checked::Running(pid) {
            unit.checked = verdict(outcome, now);
            "health command"
        } else {
            self.pending.push_back((index, Event::Exited(outcome)));
            "main process"
        };
        Some((self.name(index), process))
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
        let views = self.views();
        for (index, unit) in self.units.iter().enumerate() {
            if is_stoppable(unit) && order::may_stop(index, &self.configured, &views) {
                self.pending.push_back((index, Event::Stop));
            }
        }
        self.settle(now, report);
        self.units.iter().filter(|unit| unit.state.is_running()).count()
    }

    /// What the essential services look like together.
    pub(crate) fn essential(&self) -> Essential {
        let turns = order::turns(&self.configured, &self.views());
        let is_lost = |index: &usize| {
            let unit = self.units.get(*index);
            unit.is_some_and(|unit| unit.state.is_lost()) || turns.get(*index) == Some(&Turn::Never)
        };
        if let Some(lost) = self.essential_ones().find(is_lost) {
            return Essential::Lost(lost);
        }
        match self.essential_ones().all(|index| self.is_sound(index)) {
            true => Essential::Ready,
            false => Essential::Waiting,
        }
    }

    /// The names of the essential services that are not ready, or whose health command has not passed.
    pub(crate) fn unsound(&self) -> String {
        let unsound = self.essential_ones().filter(|index| !self.is_sound(*index));
        unsound.map(|index| self.name(index)).collect::<Vec<_>>().join(", ")
    }

    fn essential_ones(&self) -> impl Iterator<Item = usize> {
        let essential = |service: &Service| service.essential == Importance::Yes;
        let all = self.configured.iter().enumerate();
        all.filter(move |(_, service)| essential(service)).map(|(index, _)| index)
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
        let Some(unit) = self.units.get(index) else { return };
        if unit.state.deadline().is_some_and(|deadline| deadline <= now) {
            // On the way down nothing is started again.
            let last = matches!(unit.state, State::Pausing { .. }) && unit.goal == Goal::Rest;
            self.pending.push_back((index, if last { Event::Stop } else { Event::Tick }));
        }
    }

    /// Answers pending events until there are none. Each round of answers lets others start, or takes from them what they
    /// require.
    fn settle(&mut self, now: Millis, report: &mut Report) {
        loop {
            while let Some((index, event)) = self.pending.pop_front() {
                self.feed(index, event, now, report);
            }
            self.follow_turns();
            if self.pending.is_empty() {
                return;
            }
        }
    }

    fn follow_turns(&mut self) {
        let turns = order::turns(&self.configured, &self.views());
        for (index, (unit, turn)) in self.units.iter().zip(turns).enumerate() {
            match turn {
                Turn::Now if unit.state == State::Down && unit.goal == Goal::Run => {
                    self.pending.push_back((index, Event::Start));
                }
                Turn::Never if is_stoppable(unit) => self.pending.push_back((index, Event::Stop)),
                Turn::Now | Turn::Later | Turn::Never => {}
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

    fn views(&self) -> Vec<View> {
        self.units.iter().map(|unit| View { state: unit.state, goal: unit.goal }).collect()
    }

    fn is_notify(&self, index: usize) -> bool {
        self.units.get(index).is_some_and(|unit| unit.policy.kind == machine::Kind::Notify)
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
    fn new(service: &Service, goal: Goal) -> Self {
        Self {
            state: State::Down,
            policy: Policy::of(service),
            goal,
            process: None,
            exec: Exec::Known,
            checked: Checked::Due(0),
        }
    }

    fn has(&self, pid: Pid) -> bool {
        let main = self.process.as_ref().is_some_and(|process| process.pid() == pid);
        main || self.checked == Checked::Running(pid)
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

/// Whether it runs, or would again, and has not been told to end for good.
fn is_stoppable(unit: &Unit) -> bool {
    match unit.state {
        State::Starting { .. } | State::Up { .. } | State::Pausing { .. } => true,
        State::Stopping { then, .. } | State::Killing { then } => then != Then::Rest,
        State::Down | State::Done | State::Ended | State::Failed => false,
    }
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
