//! Whose turn it is: which services may start, and on the way down which may stop. Pure; indices are the configuration's.

use pintle_config::{Index, Service};

use super::machine::State;

/// Whether service `index` may start now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    /// Everything it waits for is settled and everything it requires is ready.
    Now,
    /// Something it waits for is still on its way.
    Later,
    /// Something it requires will not become ready by itself.
    Never,
}

/// The turn of service `index`, from the states of those it requires, wants or comes after.
pub(crate) fn turn(index: usize, services: &[Service], states: &[State]) -> Turn {
    let Some(service) = services.get(index) else { return Turn::Never };
    let state = |of: &Index| states.get(of.get()).copied().unwrap_or(State::Failed);
    if service.requires.iter().map(state).any(State::is_lost) {
        return Turn::Never;
    }
    let required = service.requires.iter().map(state).all(State::is_ready);
    let mut others = service.wants.iter().chain(&service.after).map(state);
    if required && others.all(is_settled) { Turn::Now } else { Turn::Later }
}

/// Whether service `index` may stop now: nothing that needs it, or comes after it, still has a process.
pub(crate) fn may_stop(index: usize, services: &[Service], states: &[State]) -> bool {
    let depends = |service: &Service| service.dependencies().any(|on| on.get() == index);
    let mut dependants = services.iter().zip(states).filter(|(service, _)| depends(service));
    !dependants.any(|(_, state)| state.is_running())
}

/// It is ready or has failed at least once: whoever only comes after it need not wait longer.
fn is_settled(state: State) -> bool {
    match state {
        State::Up { .. } | State::Done | State::Pausing { .. } => true,
        State::Ended | State::Failed => true,
        State::Down | State::Starting { .. } | State::Stopping { .. } | State::Killing { .. } => {
            false
        }
    }
}
