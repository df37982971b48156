//! The life of one service, as a total function of (state, event).
//!
//! A service is *down* until its turn comes, *starting* until it is ready, *up* until it ends or is told to end. A
//! stop goes from a polite signal (*stopping*) to SIGKILL for its whole cgroup (*killing*); an exit that the policy wants
//! undone goes through a growing pause (*pausing*) back to starting. Whoever drives it performs the [`Action`]s in order
//! and answers with the next [`Event`]; the machine itself touches nothing, and no pair of state and event is an error:
//! what cannot happen leaves the state as it is and says [`Action::Ignore`].
//!
//! The golden table `tests/golden/service.txt` lists every pair; the test below keeps it true.

/// Milliseconds on the boot clock.
pub(crate) type Millis = u64;

/// What is true of a service now. Each state holds only what holds in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// Not running and not wanted.
    Down,
    /// Its process runs; it has until `deadline` to become ready.
    Starting { deadline: Option<Millis>, tries: Tries },
    /// Ready, since `since`.
    Up { since: Millis, tries: Tries },
    /// A oneshot that succeeded: it counts as ready and has no process.
    Done,
    /// It ended with success by itself, and its policy leaves it at that.
    Ended,
    /// Asked to end; SIGKILL follows at `deadline`.
    Stopping { deadline: Millis, then: Then },
    /// SIGKILL was sent to the whole cgroup; only its end is awaited.
    Killing { then: Then },
    /// Ended against its policy; started again at `until`.
    Pausing { until: Millis, tries: Tries },
    /// It failed, and its policy leaves it at that; or it did so more often than its start limit.
    Failed,
}

/// What follows when a process that was told to end has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Then {
    /// Nothing: it was not wanted any more.
    Rest,
    /// A new start: a restart was asked for.
    Start,
    /// Its failure is judged by the restart policy: it did not become ready in time.
    Judge(Tries),
}

/// What a service's past starts say about the next one.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Tries {
    /// How many ends in a row came before the service had been up for the policy's interval.
    pub(crate) failed: u32,
    /// How many starts there were since `since`, this one included.
    pub(crate) starts: u32,
    /// When the interval began in which `starts` are counted.
    pub(crate) since: Millis,
}

/// What can happen to a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    /// It is wanted and all that it requires is ready.
    Start,
    /// It is not wanted any more.
    Stop,
    /// It shall end and start anew.
    Restart,
    /// It said that it is ready, or its exec went through and that is all its readiness means.
    Ready,
    /// Its main process ended.
    Exited(Outcome),
    /// A deadline may have passed.
    Tick,
}

/// How a main process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// Exit status 0.
    Success,
    /// Any other status, a signal, or an exec that failed.
    Failure,
}

/// What the driver shall do, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    /// Start its process in its own cgroup.
    Spawn,
    /// Send its stop signal to the main process.
    Terminate,
    /// SIGKILL the cgroup.
    Kill,
    /// SIGKILL what the main process left behind in the cgroup.
    Sweep,
    /// Tell the dependants and the report that it is ready.
    AnnounceReady,
    /// Tell the report that it will not run again by itself.
    AnnounceFailed,
    /// Nothing; the event has no meaning in this state.
    Ignore,
}

/// Readiness and restarts, from the service's configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Policy {
    pub(crate) kind: Kind,
    pub(crate) restart: Restart,
    /// How long a start may take; `None` is for ever.
    pub(crate) start_timeout: Option<Millis>,
    pub(crate) stop_timeout: Millis,
    pub(crate) backoff_first: Millis,
    pub(crate) backoff_max: Millis,
    /// A service that ends after so many starts in `start_interval`, or fails so often in a row without having been up
    /// for as long, has failed.
    pub(crate) start_burst: u32,
    /// Up for this long, a service has no failures to its name. Zero: there is no start limit.
    pub(crate) start_interval: Millis,
}

/// What readiness means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Ready when its exec went through.
    Exec,
    /// Ready when it has exited with success.
    Oneshot,
    /// Ready when it says so.
    Notify,
}

/// Which ends are undone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Restart {
    Never,
    OnFailure,
    Always,
}

/// At most this many actions follow from one event.
pub(crate) type Actions = heapless::Vec<Action, 3>;

/// When something happens, and to whom.
#[derive(Clone, Copy)]
struct At<'a> {
    now: Millis,
    policy: &'a Policy,
}

/// The next state and what to do, for every pair of state and event.
pub(crate) fn step(state: State, event: Event, now: Millis, policy: &Policy) -> (State, Actions) {
    let at = At { now, policy };
    match state {
        State::Down | State::Done | State::Ended | State::Failed => at_rest(state, event, at),
        State::Pausing { until, tries } => pausing(until, tries, event, at),
        State::Starting { deadline, tries } => starting(deadline, tries, event, at),
        State::Up { since, tries } => up(since, tries, event, at),
        State::Stopping { deadline, then } => stopping(deadline, then, event, at),
        State::Killing { then } => killing(then, event, at),
    }
}

fn at_rest(state: State, event: Event, at: At<'_>) -> (State, Actions) {
    match (state, event) {
        (_, Event::Restart) | (State::Down, Event::Start) => start(Tries::default(), at),
        (State::Done | State::Ended | State::Failed, Event::Stop) => (State::Down, actions(&[])),
        (_, Event::Tick) => (state, actions(&[])),
        (_, Event::Start | Event::Stop | Event::Ready | Event::Exited(_)) => ignore(state),
    }
}

fn pausing(until: Millis, tries: Tries, event: Event, at: At<'_>) -> (State, Actions) {
    let state = State::Pausing { until, tries };
    match event {
        Event::Tick if at.now >= until => start(tries, at),
        Event::Tick => (state, actions(&[])),
        Event::Restart => start(Tries::default(), at),
        Event::Stop => (State::Down, actions(&[])),
        Event::Start | Event::Ready | Event::Exited(_) => ignore(state),
    }
}

fn starting(deadline: Option<Millis>, tries: Tries, event: Event, at: At<'_>) -> (State, Actions) {
    let state = State::Starting { deadline, tries };
    match event {
        Event::Ready => (State::Up { since: at.now, tries }, actions(&[Action::AnnounceReady])),
        Event::Exited(outcome) => ended(outcome, tries, at),
        Event::Tick if deadline.is_some_and(|due| at.now >= due) => {
            (State::Killing { then: Then::Judge(tries) }, actions(&[Action::Kill]))
        }
        Event::Stop => stop(Then::Rest, at),
        Event::Restart => stop(Then::Start, at),
        Event::Tick => (state, actions(&[])),
        Event::Start => ignore(state),
    }
}

fn up(since: Millis, tries: Tries, event: Event, at: At<'_>) -> (State, Actions) {
    let state = State::Up { since, tries };
    match event {
        Event::Exited(outcome) => {
            let stable = at.now.saturating_sub(since) >= at.policy.start_interval;
            let failed = if stable { 0 } else { tries.failed };
            ended(outcome, Tries { failed, ..tries }, at)
        }
        Event::Stop => stop(Then::Rest, at),
        Event::Restart => stop(Then::Start, at),
        Event::Tick => (state, actions(&[])),
        Event::Start | Event::Ready => ignore(state),
    }
}

fn stopping(deadline: Millis, then: Then, event: Event, at: At<'_>) -> (State, Actions) {
    match event {
        Event::Exited(_) => gone(then, at),
        Event::Tick if at.now >= deadline => (State::Killing { then }, actions(&[Action::Kill])),
        Event::Tick => (State::Stopping { deadline, then }, actions(&[])),
        Event::Stop => (State::Stopping { deadline, then: Then::Rest }, actions(&[])),
        Event::Start | Event::Restart => {
            (State::Stopping { deadline, then: Then::Start }, actions(&[]))
        }
        Event::Ready => ignore(State::Stopping { deadline, then }),
    }
}

fn killing(then: Then, event: Event, at: At<'_>) -> (State, Actions) {
    match event {
        Event::Exited(_) => gone(then, at),
        Event::Stop => (State::Killing { then: Then::Rest }, actions(&[])),
        Event::Start | Event::Restart => (State::Killing { then: Then::Start }, actions(&[])),
        Event::Tick => (State::Killing { then }, actions(&[])),
        Event::Ready => ignore(State::Killing { then }),
    }
}

fn start(tries: Tries, at: At<'_>) -> (State, Actions) {
    let deadline = at.policy.start_timeout.map(|timeout| at.now.saturating_add(timeout));
    let tries = tries.one_more(at.now, at.policy);
    (State::Starting { deadline, tries }, actions(&[Action::Spawn]))
}

fn stop(then: Then, at: At<'_>) -> (State, Actions) {
    let deadline = at.now.saturating_add(at.policy.stop_timeout);
    (State::Stopping { deadline, then }, actions(&[Action::Terminate]))
}

/// A process that nobody told to end has ended.
fn ended(outcome: Outcome, tries: Tries, at: At<'_>) -> (State, Actions) {
    match (outcome, at.policy.kind, at.policy.restart) {
        (Outcome::Success, Kind::Oneshot, _) => {
            (State::Done, actions(&[Action::Sweep, Action::AnnounceReady]))
        }
        (Outcome::Success, _, Restart::Never | Restart::OnFailure) => {
            (State::Ended, actions(&[Action::Sweep]))
        }
        (Outcome::Failure, _, Restart::Never) => {
            (State::Failed, actions(&[Action::Sweep, Action::AnnounceFailed]))
        }
        (Outcome::Failure, _, Restart::OnFailure | Restart::Always)
            if tries.in_a_row(at.policy) =>
        {
            (State::Failed, actions(&[Action::Sweep, Action::AnnounceFailed]))
        }
        (Outcome::Failure, _, Restart::OnFailure | Restart::Always)
        | (Outcome::Success, _, Restart::Always) => again(tries, at),
    }
}

/// A process that was told to end has ended.
fn gone(then: Then, at: At<'_>) -> (State, Actions) {
    match then {
        Then::Rest => (State::Down, actions(&[Action::Sweep])),
        Then::Start => {
            let (state, _) = start(Tries::default(), at);
            (state, actions(&[Action::Sweep, Action::Spawn]))
        }
        Then::Judge(tries) => ended(Outcome::Failure, tries, at),
    }
}

fn again(tries: Tries, at: At<'_>) -> (State, Actions) {
    if tries.too_many(at.now, at.policy) {
        return (State::Failed, actions(&[Action::Sweep, Action::AnnounceFailed]));
    }
    let until = at.now.saturating_add(backoff(tries.failed, at.policy));
    let failed = tries.failed.saturating_add(1);
    (State::Pausing { until, tries: Tries { failed, ..tries } }, actions(&[Action::Sweep]))
}

/// The pause doubles with each failure in a row, up to the policy's longest.
fn backoff(failed: u32, policy: &Policy) -> Millis {
    let doubled = policy.backoff_first.checked_shl(failed.min(32)).unwrap_or(Millis::MAX);
    doubled.min(policy.backoff_max)
}

fn ignore(state: State) -> (State, Actions) {
    (state, actions(&[Action::Ignore]))
}

fn actions(list: &[Action]) -> Actions {
    list.iter().copied().take(3).collect()
}

impl Tries {
    fn one_more(self, now: Millis, policy: &Policy) -> Self {
        if self.starts > 0 && self.is_recent(now, policy) {
            Self { starts: self.starts.saturating_add(1), ..self }
        } else {
            Self { starts: 1, since: now, ..self }
        }
    }

    fn too_many(self, now: Millis, policy: &Policy) -> bool {
        policy.start_interval > 0
            && self.starts >= policy.start_burst
            && self.is_recent(now, policy)
    }

    /// Whether this failure is the last of too many in a row. Pauses grow, so that counting starts in an interval
    /// alone would let a service that lives for a second crash for ever.
    fn in_a_row(self, policy: &Policy) -> bool {
        policy.start_interval > 0 && self.failed.saturating_add(1) >= policy.start_burst
    }

    fn is_recent(self, now: Millis, policy: &Policy) -> bool {
        now.saturating_sub(self.since) <= policy.start_interval
    }
}

impl State {
    /// When this state wants an [`Event::Tick`].
    pub(crate) fn deadline(self) -> Option<Millis> {
        match self {
            State::Starting { deadline, .. } => deadline,
            State::Stopping { deadline, .. } => Some(deadline),
            State::Pausing { until, .. } => Some(until),
            State::Down
            | State::Up { .. }
            | State::Done
            | State::Ended
            | State::Killing { .. }
            | State::Failed => None,
        }
    }

    /// The state's name, for people and programs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Down => "down",
            State::Starting { .. } => "starting",
            State::Up { .. } => "up",
            State::Done => "done",
            State::Ended => "ended",
            State::Stopping { .. } => "stopping",
            State::Killing { .. } => "killing",
            State::Pausing { .. } => "pausing",
            State::Failed => "failed",
        }
    }

    /// Whether what requires this service may start.
    pub(crate) fn is_ready(self) -> bool {
        matches!(self, State::Up { .. } | State::Done)
    }

    /// Whether it has a process, or may still have one.
    pub(crate) fn is_running(self) -> bool {
        match self {
            State::Starting { .. } | State::Up { .. } | State::Stopping { .. } => true,
            State::Killing { .. } => true,
            State::Down | State::Done | State::Ended => false,
            State::Pausing { .. } | State::Failed => false,
        }
    }

    /// Whether it will not become ready by itself any more.
    pub(crate) fn is_lost(self) -> bool {
        matches!(self, State::Ended | State::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 10_000;

    fn policy(kind: Kind, restart: Restart) -> Policy {
        Policy {
            kind,
            restart,
            start_timeout: Some(1_000),
            stop_timeout: 500,
            backoff_first: 100,
            backoff_max: 5_000,
            start_burst: 3,
            start_interval: 2_000,
        }
    }

    fn states() -> Vec<State> {
        let fresh = Tries { failed: 0, starts: 1, since: NOW - 10 };
        let last = Tries { failed: 2, starts: 3, since: NOW - 1_000 };
        vec![
            State::Down,
            State::Starting { deadline: Some(NOW), tries: fresh },
            State::Starting { deadline: Some(NOW + 1), tries: last },
            State::Starting { deadline: None, tries: fresh },
            State::Up { since: NOW - 10, tries: fresh },
            State::Up { since: NOW - 10, tries: last },
            State::Up { since: NOW - 2_000, tries: last },
            State::Done,
            State::Ended,
            State::Stopping { deadline: NOW, then: Then::Rest },
            State::Stopping { deadline: NOW + 1, then: Then::Start },
            State::Killing { then: Then::Rest },
            State::Killing { then: Then::Start },
            State::Killing { then: Then::Judge(fresh) },
            State::Killing { then: Then::Judge(last) },
            State::Pausing { until: NOW, tries: fresh },
            State::Pausing { until: NOW + 1, tries: last },
            State::Failed,
        ]
    }

    const EVENTS: [Event; 7] = [
        Event::Start,
        Event::Stop,
        Event::Restart,
        Event::Ready,
        Event::Exited(Outcome::Success),
        Event::Exited(Outcome::Failure),
        Event::Tick,
    ];

    const POLICIES: [(Kind, Restart); 5] = [
        (Kind::Exec, Restart::Never),
        (Kind::Exec, Restart::OnFailure),
        (Kind::Notify, Restart::Always),
        (Kind::Oneshot, Restart::Never),
        (Kind::Oneshot, Restart::OnFailure),
    ];

    fn table() -> String {
        let mut out = String::from("now = 10000; what follows each state and event, by policy\n");
        for (kind, restart) in POLICIES {
            out += &format!("\n## {kind:?}, restart {restart:?}\n");
            for state in states() {
                out += &format!("\n{state:?}\n");
                for event in EVENTS {
                    let (next, actions) = step(state, event, NOW, &policy(kind, restart));
                    out += &format!("  {:<17} -> {next:?} {actions:?}\n", format!("{event:?}"));
                }
            }
        }
        out
    }

    /// `PINTLE_BLESS=1 cargo test` writes the table anew; read the difference before committing it.
    #[test]
    fn the_golden_table_is_true() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/service.txt");
        if std::env::var_os("PINTLE_BLESS").is_some() {
            std::fs::write(path, table()).unwrap();
        }
        let golden = std::fs::read_to_string(path).unwrap();
        for (line, (is, was)) in table().lines().zip(golden.lines()).enumerate() {
            assert_eq!(is, was, "{path}:{}", line + 1);
        }
        assert_eq!(table().len(), golden.len(), "{path} has another length");
    }

    #[test]
    fn a_service_that_always_fails_is_started_exactly_its_limit_of_times() {
        let policy = policy(Kind::Exec, Restart::Always);
        let (mut state, mut now, mut spawned) = (State::Down, 0, 0);
        let mut event = Event::Start;
        while state != State::Failed {
            let (next, actions) = step(state, event, now, &policy);
            spawned += actions.iter().filter(|action| **action == Action::Spawn).count();
            event = match next {
                State::Pausing { until, .. } => {
                    now = until;
                    Event::Tick
                }
                _ => Event::Exited(Outcome::Failure),
            };
            state = next;
        }
        assert_eq!(spawned, 3);
    }

    /// With the defaults, and pauses that grow beyond the interval: by starts in an interval it would never be over.
    #[test]
    fn a_service_that_crashes_every_second_fails_in_the_end() {
        let policy = Policy {
            backoff_max: 30_000,
            start_burst: 10,
            start_interval: 60_000,
            ..policy(Kind::Exec, Restart::OnFailure)
        };
        let (mut state, mut now, mut starts) = (State::Down, 0, 0);
        let mut event = Event::Start;
        while state != State::Failed {
            (state, _) = step(state, event, now, &policy);
            (state, _) = step(state, Event::Ready, now, &policy);
            starts += 1;
            now += 1_000;
            (state, _) = step(state, Event::Exited(Outcome::Failure), now, &policy);
            if let State::Pausing { until, .. } = state {
                now = until;
            }
            event = Event::Tick;
        }
        assert_eq!(starts, 10);
    }

    #[test]
    fn failures_that_are_far_apart_are_never_too_many() {
        let policy = policy(Kind::Exec, Restart::Always);
        let (mut state, mut now) = (State::Down, 0);
        for _ in 0..100 {
            let event = if state == State::Down { Event::Start } else { Event::Tick };
            (state, _) = step(state, event, now, &policy);
            (state, _) = step(state, Event::Ready, now, &policy);
            now += policy.start_interval + 1;
            (state, _) = step(state, Event::Exited(Outcome::Failure), now, &policy);
            let State::Pausing { until, .. } = state else { panic!("{state:?}") };
            now = until;
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let policy = policy(Kind::Exec, Restart::Always);
        let pauses: Vec<_> = (0..8).map(|failed| backoff(failed, &policy)).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        assert_eq!(backoff(u32::MAX, &policy), 5_000);
    }
}
