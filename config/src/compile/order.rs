//! The order in which services start.

use std::collections::VecDeque;

use super::Context;
use super::diagnostic::{Mistake, Place};
use crate::service::{Index, Service};

/// A service says that another is started before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reference {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) place: Place,
}

/// Reports every service that waits for itself, with the way round.
pub(super) fn refuse_cycles(cx: &mut Context<'_>) {
    for (cycle, place) in cycles(cx.services.len(), &cx.references) {
        let names = cycle.iter().filter_map(|node| cx.services.get(*node));
        let way = names.map(String::as_str).collect::<Vec<_>>().join(" → ");
        let expected = "services that can be started one after the other";
        cx.report(Mistake::at(place, format!("a cycle: {way}"), expected));
    }
}

/// The services so that each stands after all that it refers to, if there is no cycle.
///
/// Where dependencies leave a choice, the order stays as it is.
pub(super) fn sorted(services: Vec<Service>) -> Option<Vec<Service>> {
    let positions = new_positions(&services)?;
    let mut sorted: Vec<(u16, Service)> = positions.iter().copied().zip(services).collect();
    sorted.sort_by_key(|(position, _)| *position);
    sorted.into_iter().map(|(_, service)| renumbered(service, &positions)).collect()
}

/// A shortest cycle through each service that is on one, unless a cycle before it has shown it.
///
/// A cycle begins and ends with the same service, and stands where its first reference does.
fn cycles(count: usize, references: &[Reference]) -> Vec<(Vec<usize>, Place)> {
    let outgoing = outgoing(count, references);
    let mut shown = vec![false; count];
    let mut cycles = Vec::new();
    for start in 0..count {
        if shown.get(start) == Some(&true) {
            continue;
        }
        if let Some((cycle, place)) = shortest_cycle(start, &outgoing) {
            mark(&cycle, &mut shown);
            cycles.push((cycle, place));
        }
    }
    cycles
}

fn mark(nodes: &[usize], marks: &mut [bool]) {
    for node in nodes {
        marks.get_mut(*node).into_iter().for_each(|mark| *mark = true);
    }
}

fn outgoing(count: usize, references: &[Reference]) -> Vec<Vec<Reference>> {
    let mut outgoing = vec![Vec::new(); count];
    for reference in references {
        outgoing.get_mut(reference.from).into_iter().for_each(|list| list.push(*reference));
    }
    outgoing
}

/// Breadth first from `start` until a reference leads back to it.
fn shortest_cycle(start: usize, outgoing: &[Vec<Reference>]) -> Option<(Vec<usize>, Place)> {
    let mut reached: Vec<Option<Reference>> = vec![None; outgoing.len()];
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for reference in outgoing.get(node)? {
            if reference.to == start {
                return way_round(*reference, &reached);
            }
            let slot = reached.get_mut(reference.to)?;
            if slot.is_none() {
                *slot = Some(*reference);
                queue.push_back(reference.to);
            }
        }
    }
    None
}

/// From the last reference of a cycle back to its first.
fn way_round(last: Reference, reached: &[Option<Reference>]) -> Option<(Vec<usize>, Place)> {
    let start = last.to;
    let mut nodes = vec![start, last.from];
    let mut first = last;
    while first.from != start {
        first = reached.get(first.from).copied().flatten()?;
        nodes.push(first.from);
    }
    nodes.reverse();
    Some((nodes, first.place))
}

/// The new position of each service: again and again the first whose dependencies all have one.
fn new_positions(services: &[Service]) -> Option<Vec<u16>> {
    let mut positions: Vec<Option<u16>> = vec![None; services.len()];
    for position in 0..services.len() {
        let next = services.iter().zip(&positions).position(|(service, placed)| {
            placed.is_none() && service.dependencies().all(|d| is_placed(&positions, d))
        });
        *positions.get_mut(next?)? = u16::try_from(position).ok();
    }
    positions.into_iter().collect()
}

fn is_placed(positions: &[Option<u16>], index: Index) -> bool {
    positions.get(index.get()).is_some_and(Option::is_some)
}

fn renumbered(mut service: Service, positions: &[u16]) -> Option<Service> {
    let Service { requires, wants, after, .. } = &mut service;
    for index in requires.iter_mut().chain(wants).chain(after) {
        *index = Index(*positions.get(index.get())?);
    }
    Some(service)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ways(count: usize, arrows: &[(usize, usize)]) -> Vec<Vec<usize>> {
        let reference = |(offset, (from, to)): (usize, &(usize, usize))| Reference {
            from: *from,
            to: *to,
            place: Place { file: 0, offset },
        };
        let references: Vec<_> = arrows.iter().enumerate().map(reference).collect();
        cycles(count, &references).into_iter().map(|(way, _)| way).collect()
    }

    #[test]
    fn a_service_that_waits_for_itself_is_a_cycle() {
        assert_eq!(ways(1, &[(0, 0)]), [[0, 0]]);
    }

    #[test]
    fn the_shortest_way_round_is_shown_once() {
        let arrows = [(0, 1), (1, 2), (2, 3), (3, 0), (2, 0)];
        assert_eq!(ways(4, &arrows), [vec![0, 1, 2, 0], vec![3, 0, 1, 2, 3]]);
    }

    #[test]
    fn separate_cycles_are_all_shown_and_what_leads_to_them_is_not() {
        let arrows = [(0, 1), (1, 2), (2, 1), (3, 4), (4, 3), (0, 3)];
        assert_eq!(ways(5, &arrows), [[1, 2, 1], [3, 4, 3]]);
    }

    #[test]
    fn diamonds_are_no_cycles() {
        assert_eq!(ways(4, &[(0, 1), (0, 2), (1, 3), (2, 3)]), Vec::<Vec<usize>>::new());
    }
}
