use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use pintle_update::schedule::{Calendar, MachineId, Policy, Window, Zone, includes};

use super::DAY;
use super::load::{Counts, Load};
use super::machine::{Ends, Machine, REBOOT};
use super::registry::Registry;
use super::scenario::{Ids, Scenario};

/// What became of a fleet. Times are in seconds since the simulation began.
pub(crate) struct Outcome {
    pub(crate) load: Load,
    /// When each machine that has it booted the last release, in order.
    pub(crate) updated: Vec<u64>,
    /// When each machine was served the first time after the scenario's turning point, in order.
    pub(crate) served: Vec<u64>,
    pub(crate) reboots: Counts,
    /// Reboots outside a window, within the grace period, or into a release that was not for the machine.
    pub(crate) out_of_turn: u64,
    /// Requests of machines before the time that the registry had asked them to let pass.
    pub(crate) impatient: u64,
}

/// All machines, and the times at which each has something to do, in milliseconds.
struct Fleet<'s> {
    scenario: &'s Scenario,
    registry: Registry,
    machines: Vec<Machine>,
    queue: BinaryHeap<Reverse<(u64, usize)>>,
    outcome: Outcome,
}

/// Stands in the queue for the moment at which all machines lose their power.
const ALL: usize = usize::MAX;

/// Lives the days of a scenario.
pub(crate) fn live(scenario: &Scenario) -> Outcome {
    let mut fleet = Fleet::new(scenario);
    let end = scenario.span().end * 1000;
    while let Some(Reverse((at, index))) = fleet.queue.pop() {
        if at >= end {
            break;
        }
        match index {
            ALL => fleet.power_cut(at),
            index if fleet.machines[index].wakes == at => fleet.turn(index, at),
            _ => {}
        }
    }
    fleet.end()
}

impl<'s> Fleet<'s> {
    fn new(scenario: &'s Scenario) -> Self {
        let machines: Vec<_> = (0..scenario.machines).map(|n| machine(scenario, n)).collect();
        let wakes = machines.iter().enumerate().map(|(index, it)| Reverse((it.wakes, index)));
        let mut queue: BinaryHeap<_> = wakes.collect();
        queue.extend(scenario.power_cut.map(|at| Reverse((at * 1000, ALL))));
        let (tags, closed) = (scenario.tags.clone(), scenario.closed.clone());
        let outcome = Outcome {
            load: Load::default(),
            updated: Vec::new(),
            served: Vec::new(),
            reboots: Counts::default(),
            out_of_turn: 0,
            impatient: 0,
        };
        let registry = Registry::new(scenario.limit, tags, closed);
        Self { scenario, registry, machines, queue, outcome }
    }

    fn turn(&mut self, index: usize, at: u64) {
        let machine = &mut self.machines[index];
        let turning_point = self.scenario.turning_point() * 1000;
        let was_served = machine.served.is_some_and(|then| then >= turning_point);
        let ends = machine.turn(&mut self.registry, at);
        if !was_served && machine.served == Some(at) && at >= turning_point {
            self.outcome.served.push(at / 1000);
        }
        match ends {
            Ends::Waits => {}
            Ends::Reboots => {
                self.watch(index, at);
                self.outcome.reboots.count(at / 1000);
                self.boot(index, at + REBOOT);
            }
        }
        self.queue.push(Reverse((self.machines[index].wakes, index)));
    }

    fn boot(&mut self, index: usize, at: u64) {
        let machine = &mut self.machines[index];
        let before = machine.sequence();
        machine.boot(at);
        let last = self.scenario.tags.last().map(|tag| tag.sequence);
        if machine.sequence() > before && Some(machine.sequence()) == last {
            self.outcome.updated.push(at / 1000);
        }
    }

    fn power_cut(&mut self, at: u64) {
        for index in 0..self.machines.len() {
            self.boot(index, at);
            self.queue.push(Reverse((at, index)));
        }
    }

    /// Whether a machine may reboot now, by other means than its own.
    fn watch(&mut self, index: usize, at: u64) {
        let machine = &self.machines[index];
        let in_window =
            self.scenario.window.as_ref().is_none_or(|window| window.contains(&(at / 1000 % DAY)));
        let grace = Duration::from_secs(600);
        let settled = machine.blessed_for(at).is_none_or(|since| since >= grace);
        let named = self.registry.tag(at).map(|(_, tag)| tag);
        let is_for_it = named.is_some_and(|tag| {
            includes(machine.id(), tag.sequence, tag.rollout.try_into().expect("percent"))
        });
        self.outcome.out_of_turn += u64::from(!(in_window && settled && is_for_it));
    }

    fn end(self) -> Outcome {
        let impatient = self.machines.iter().map(|machine| machine.impatient).sum();
        let mut outcome = Outcome { load: self.registry.load, impatient, ..self.outcome };
        outcome.updated.sort_unstable();
        outcome
    }
}

fn machine(scenario: &Scenario, number: u32) -> Machine {
    let id = match scenario.ids {
        Ids::OneEach => random(number.into()),
        Ids::OneForAll => random(0),
    };
    let machine = MachineId::from_bytes(id.to_be_bytes());
    let policy = Policy { calendar: calendar(scenario), ..Policy::of_machine(machine) };
    Machine::new(policy, random(u128::from(number) + (1 << 64)) as u64 % (DAY * 1000))
}

fn calendar(scenario: &Scenario) -> Calendar {
    let window = scenario.window.as_ref().map(|window| Window {
        days: 0x7f,
        opens: (window.start / 60) as u16,
        length: ((window.end - window.start) / 60) as u16,
    });
    Calendar::new(Zone::UTC, window.into_iter().collect())
}

/// The same for a number each time, and evenly spread: the finalizer of splitmix64, twice.
fn random(number: u128) -> u128 {
    let mix = |mut z: u64| {
        z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let (high, low) = ((number >> 64) as u64, number as u64);
    let first = mix(low ^ mix(high));
    u128::from(first) << 64 | u128::from(mix(first))
}
