//! Whose turn it is: which services may start, and on the way down which may stop. Pure; indices are the configuration's.

use pintle_config::{Index, Service};

use super::machine::State;

/// Whether a service may start now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    /// Everything it waits for is settled and everything it requires is ready.
    Now,
    /// Something it waits for is still on its way.
    Later,
    /// Something it requires will not become ready by itself.
    Never,
}

/// What is wanted of a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Goal {
    Run,
    Rest,
}

/// A service as the others see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct View {
    pub(crate) state: State,
    pub(crate) goal: Goal,
}

/// The turn of each service. All that a service refers to stands before it, so that one pass is enough.
pub(crate) fn turns(services: &[Service], views: &[View]) -> Vec<Turn> {
    let mut known = Known { views, turns: Vec::with_capacity(services.len()) };
    for service in services {
        let turn = known.turn(service);
        known.turns.push(turn);
    }
    known.turns
}

/// What is known of the services up to one.
struct Known<'a> {
    views: &'a [View],
    turns: Vec<Turn>,
}

impl Known<'_> {
    fn turn(&self, service: &Service) -> Turn {
        if service.requires.iter().any(|index| self.is_lost(*index)) {
            return Turn::Never;
        }
        let required = service.requires.iter().all(|index| self.state(*index).is_ready());
        let mut others = service.wants.iter().chain(&service.after);
        if required && others.all(|index| self.is_settled(*index)) {
            Turn::Now
        } else {
            Turn::Later
        }
    }

    /// It will not become ready by itself.
    fn is_lost(&self, index: Index) -> bool {
        self.state(index).is_lost() || self.never_starts(index)
    }

    /// It is ready, or whoever only comes after it need not wait longer: it has failed at least once, or does not start.
    fn is_settled(&self, index: Index) -> bool {
        match self.state(index) {
            State::Up { .. } | State::Done | State::Pausing { .. } => true,
            State::Ended | State::Failed => true,
            State::Down => self.never_starts(index) || self.goal(index) == Goal::Rest,
            State::Starting { .. } | State::Stopping { .. } | State::Killing { .. } => false,
        }
    }

    fn never_starts(&self, index: Index) -> bool {
        self.state(index) == State::Down && self.turns.get(index.get()) == Some(&Turn::Never)
    }

    fn state(&self, index: Index) -> State {
        self.views.get(index.get()).map_or(State::Failed, |view| view.state)
    }

    fn goal(&self, index: Index) -> Goal {
        self.views.get(index.get()).map_or(Goal::Rest, |view| view.goal)
    }
}

/// Whether service `index` may stop now: nothing that needs it, or comes after it, still has a process.
pub(crate) fn may_stop(index: usize, services: &[Service], views: &[View]) -> bool {
    let depends = |service: &Service| service.dependencies().any(|on| on.get() == index);
    let mut dependants = services.iter().zip(views).filter(|(service, _)| depends(service));
    !dependants.any(|(_, view)| view.state.is_running())
}

#[cfg(test)]
mod tests {
    use super::super::machine::Tries;
    use super::*;
    use Goal::{Rest, Run};
    use Turn::{Later, Never, Now};
    use pintle_config::compile::{self, Unchecked};

    const UP: State = State::Up { since: 0, tries: Tries { failed: 0, starts: 1, since: 0 } };
    const PAUSING: State =
        State::Pausing { until: 0, tries: Tries { failed: 1, starts: 1, since: 0 } };
    const KILLING: State = State::Killing { then: super::super::machine::Then::Rest };

    /// `a` stands first; `b` refers to it by this key, and `c` to `b` by the other one.
    fn services(b_to_a: &str, c_to_b: &str) -> Vec<Service> {
        let services = [("a", String::new()), ("b", format!("{b_to_a} = ['a']"))];
        let services = [&services[..], &[("c", format!("{c_to_b} = ['b']"))]].concat();
        let table = |(name, key)| format!("[service.{name}]\ncommand = ['/{name}']\n{key}\n");
        let text = services.into_iter().map(table).collect::<String>();
        compile::system(&[("a.toml", &text)], &Unchecked).unwrap().services
    }

    fn turns_of(services: &[Service], views: [(State, Goal); 3]) -> Vec<Turn> {
        turns(services, &views.map(|(state, goal)| View { state, goal }))
    }

    #[test]
    fn what_a_service_waits_for_decides_when_it_starts() {
        let table = [
            ("requires", (State::Down, Run), Later),
            ("requires", (UP, Run), Now),
            ("requires", (State::Done, Run), Now),
            ("requires", (PAUSING, Run), Later),
            ("requires", (KILLING, Run), Later),
            ("requires", (State::Ended, Run), Never),
            ("requires", (State::Failed, Run), Never),
            ("wants", (State::Down, Run), Later),
            ("wants", (UP, Run), Now),
            ("wants", (PAUSING, Run), Now),
            ("wants", (State::Failed, Run), Now),
            ("wants", (State::Ended, Run), Now),
            ("after", (State::Down, Run), Later),
            // It is not started at all.
            ("after", (State::Down, Rest), Now),
            ("after", (KILLING, Run), Later),
        ];
        for (key, a, expected) in table {
            let turns =
                turns_of(&services(key, "after"), [a, (State::Down, Run), (State::Down, Run)]);
            assert_eq!(turns[1], expected, "{key} {a:?}");
        }
    }

    /// `b` never starts, for `a` has failed.
    #[test]
    fn what_never_starts_is_not_waited_for() {
        let views = [(State::Failed, Run), (State::Down, Run), (State::Down, Run)];
        for (key, expected) in [("requires", Never), ("wants", Now), ("after", Now)] {
            assert_eq!(
                turns_of(&services("requires", key), views),
                [Now, Never, expected],
                "{key}"
            );
        }
    }

    #[test]
    fn a_service_stops_after_all_that_come_after_it() {
        let services = services("requires", "after");
        let view = |state| View { state, goal: Rest };
        let may = |b| may_stop(0, &services, &[view(UP), view(b), view(State::Down)]);
        assert!(may(State::Down) && may(PAUSING) && may(State::Failed));
        assert!(!may(UP) && !may(KILLING));
    }
}
