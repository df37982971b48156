//! Every history of a small machine: each plan cut off after each step, each way in which a run can
//! end, until no new state turns up. What must hold in all of them is asserted on the way.

mod disk;

use std::collections::{BTreeMap, BTreeSet};

use disk::{Names, cut, entries_of, names, trust_of};
use pintle_update::{EntryName, EntryState, Event, Mark, Reset, Step, Tries, plan, select};

/// What the machine stands in between two boots: its names, and what stopped it.
type State = (Names, Reset);

/// One boot, from power on to power off.
struct Boot {
    /// The sequence that ran; `None` where the power failed before.
    ran: Option<u64>,
    end: End,
    next: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// Power failed in the middle of a plan, or an entry failed after others could not be mounted.
    Other,
    /// The entry failed, and the machine could know.
    Failure,
    /// It ran, was healthy, and stopped for a reason that nobody can blame it for.
    Fine,
}

const TRIES: Tries = Tries::DEFAULT;

/// The floor that each image's seal states.
fn seal_floor(sequence: u64) -> u64 {
    [0, 0, 1, 2][sequence as usize]
}

/// Which entries may turn out not to mount.
#[derive(Clone, Copy, PartialEq)]
enum Mounts {
    /// None.
    All,
    /// The first ones of the order, any number of them.
    Some,
}

#[test]
fn two_entries() {
    explore(&["1_a", "2_b+3-0"], Mounts::Some);
}

#[test]
fn two_good_entries() {
    explore(&["1_a", "2_b"], Mounts::Some);
}

#[test]
fn nothing_but_bad_entries() {
    explore(&["1_a+0-3", "2_b+0-9"], Mounts::Some);
}

#[test]
fn an_odd_copy_of_an_entry() {
    explore(&["1_a", "2_b", "2_b+3-0"], Mounts::All);
}

#[test]
fn three_entries() {
    explore(&["1_a", "2_b+0-3", "3_c+3-0"], Mounts::All);
}

/// Visits every state that can be reached, and checks each boot on the way.
fn explore(images: &[&str], mounts: Mounts) {
    let start = names(images.iter().map(|name| format!("images/{name}")));
    let sequences = sequences_of(&start);
    let mut seen = BTreeMap::new();
    let mut open = vec![(start, Reset::Other)];
    while let Some(state) = open.pop() {
        if seen.contains_key(&key(&state)) {
            continue;
        }
        let boots = boots(&state, mounts);
        for boot in &boots {
            assert_eq!(sequences_of(&boot.next.0), sequences, "an entry was lost: {state:?}");
            open.push(boot.next.clone());
        }
        seen.insert(key(&state), boots);
    }
    println!("{images:?}: {} states", seen.len());
    sequences.iter().for_each(|sequence| assert_failures_end(&seen, *sequence));
}

type Graph = BTreeMap<(Names, bool), Vec<Boot>>;

fn key((names, reset): &State) -> (Names, bool) {
    (names.clone(), *reset == Reset::Watchdog)
}

fn sequences_of(names: &Names) -> BTreeSet<u64> {
    entries_of(names).iter().map(EntryName::sequence).collect()
}

/// Failures of one entry, one after the other, lead to another entry: the boots in which it alone
/// runs and fails form no circle.
fn assert_failures_end(graph: &Graph, sequence: u64) {
    let mut done = BTreeSet::new();
    for start in graph.keys() {
        let mut path = vec![(start.clone(), 0)];
        let mut on_path = BTreeSet::from([start.clone()]);
        while let Some((state, next)) = path.last_mut() {
            let following = failures(graph, state, sequence).nth(*next);
            *next += 1;
            match following {
                Some(state) if on_path.contains(&state) => {
                    panic!("{sequence} fails for ever from {state:?}");
                }
                Some(state) if done.contains(&state) => {}
                Some(state) => {
                    on_path.insert(state.clone());
                    path.push((state, 0));
                }
                None => {
                    on_path.remove(state);
                    done.insert(state.clone());
                    path.pop();
                }
            }
        }
    }
}

/// Where failures of this entry lead, if there is another one to boot.
fn failures<'a>(
    graph: &'a Graph,
    state: &(Names, bool),
    sequence: u64,
) -> impl Iterator<Item = (Names, bool)> + use<'a> {
    let others = select(&entries_of(&state.0), trust_of(&state.0).floor)
        .iter()
        .any(|entry| entry.sequence() != sequence && entry.state() != EntryState::Rejected);
    graph[state]
        .iter()
        .filter(move |boot| others && boot.ran == Some(sequence) && boot.end == End::Failure)
        .map(|boot| key(&boot.next))
}

/// Every way in which one boot can go.
fn boots((names, reset): &State, mounts: Mounts) -> Vec<Boot> {
    let mut machine = Machine::new(names);
    let judged = judge(&machine, *reset);
    machine.carry_out(judged);
    machine.carry_out(plan::new_round(&machine.entries(), machine.trust().floor));
    let order = select(&machine.entries(), machine.trust().floor);
    assert!(!order.is_empty(), "nothing to boot: {names:?}");
    let candidates = if mounts == Mounts::All { 1 } else { order.len() };
    for (unmountable, chosen) in order.iter().take(candidates).enumerate() {
        let counted = machine.count(chosen);
        machine.failure = if unmountable == 0 { End::Failure } else { End::Other };
        let before = machine.names.clone();
        machine.run(&counted);
        machine.names = before;
    }
    machine.boots
}

fn judge(machine: &Machine, reset: Reset) -> Vec<Step> {
    let (entries, trust) = (machine.entries(), machine.trust());
    let change = match (plan::last_run(&entries, &trust), reset) {
        (Some(entry), Reset::Watchdog) => Some(plan::demote(&entries, &trust, entry, TRIES)),
        (_, Reset::Other) => plan::doubt(&entries, &trust, TRIES),
        (None, Reset::Watchdog) => None,
    };
    change.map(|change| change.steps).unwrap_or_default()
}

struct Machine {
    names: Names,
    boots: Vec<Boot>,
    ran: Option<u64>,
    /// What a failure is to be called.
    failure: End,
}

impl Machine {
    fn new(names: &Names) -> Self {
        Self { names: names.clone(), boots: Vec::new(), ran: None, failure: End::Failure }
    }

    fn entries(&self) -> Vec<EntryName> {
        entries_of(&self.names)
    }

    fn trust(&self) -> pintle_update::Trust {
        trust_of(&self.names)
    }

    fn count(&mut self, chosen: &EntryName) -> EntryName {
        let counted = plan::count_try(&self.entries(), chosen);
        self.carry_out(counted.steps);
        self.assert_counted(chosen, &counted.name);
        counted.name
    }

    fn run(&mut self, entry: &EntryName) {
        let mark = self.trust().mark().started(entry);
        self.carry_out(plan::set_mark(&self.trust(), mark));
        self.ran = Some(entry.sequence());
        self.before_health(entry);
        self.after_health(entry);
        self.ran = None;
    }

    /// Carries a plan out, and notes every state in which a cut could leave it.
    fn carry_out(&mut self, steps: Vec<Step>) {
        let (cuts, names) = cut(&self.names, &steps);
        for left in cuts {
            assert_good_kept(&self.names, &left, &steps);
            self.note(End::Other, (left, Reset::Other));
        }
        self.names = names;
    }

    fn note(&mut self, end: End, next: State) {
        let ran = self.ran;
        self.boots.push(Boot { ran, end, next });
    }

    /// A trial has one try fewer before it runs, and no way back but a blessing.
    fn assert_counted(&self, chosen: &EntryName, counted: &EntryName) {
        assert!(self.entries().contains(counted), "{counted} is not on the disk");
        match (chosen.state(), counted.state()) {
            (EntryState::Trial { left, .. }, EntryState::Trial { left: now, .. }) => {
                assert_eq!(now.get(), left.get() - 1);
            }
            (EntryState::Trial { left, .. }, now) => {
                assert_eq!(left.get(), 1);
                assert!(matches!(now, EntryState::Bad { .. }));
            }
            (EntryState::Good | EntryState::Rejected, now) => assert_eq!(now, chosen.state()),
            (EntryState::Bad { .. }, now) => assert!(matches!(now, EntryState::Bad { .. })),
        }
    }

    /// It dies, hangs, or resets itself.
    fn before_health(&mut self, entry: &EntryName) {
        self.note(self.failure, (self.names.clone(), Reset::Other));
        self.known_failures(entry);
    }

    fn after_health(&mut self, entry: &EntryName) {
        let floor = seal_floor(entry.sequence());
        let blessed = plan::bless(&self.entries(), &self.trust(), entry, floor);
        self.carry_out(blessed.steps);
        self.note(End::Fine, (self.names.clone(), Reset::Other));
        self.known_failures(&blessed.name);
        self.marked(Mark::settled);
        self.marked(|_| Mark::Clean);
        self.rejected(&blessed.name);
    }

    /// A hang that the watchdog ends and tells of, and a reset that the machine causes itself.
    fn known_failures(&mut self, entry: &EntryName) {
        self.note(self.failure, (self.names.clone(), Reset::Watchdog));
        let before = self.names.clone();
        self.carry_out(plan::demote(&self.entries(), &self.trust(), entry, TRIES).steps);
        self.note(self.failure, (self.names.clone(), Reset::Other));
        self.names = before;
    }

    fn marked(&mut self, next: fn(Mark) -> Mark) {
        let before = self.names.clone();
        let mark = next(self.trust().mark());
        self.carry_out(plan::set_mark(&self.trust(), mark));
        self.note(End::Fine, (self.names.clone(), Reset::Other));
        self.note(End::Fine, (self.names.clone(), Reset::Watchdog));
        self.names = before;
    }

    fn rejected(&mut self, entry: &EntryName) {
        let rejected = plan::happen(&self.entries(), entry, Event::Reject, TRIES);
        let others = self.entries().iter().any(|other| *other != *entry && is_wanted(other));
        if others {
            self.carry_out(rejected.steps);
            self.note(End::Fine, (self.names.clone(), Reset::Other));
        }
    }
}

fn is_wanted(entry: &EntryName) -> bool {
    matches!(entry.state(), EntryState::Good | EntryState::Trial { .. })
}

/// A cut changes at most what the plan was about, and never leaves a floor that shuts out all that
/// is good.
fn assert_good_kept(before: &Names, left: &Names, steps: &[Step]) {
    let (was, is) = (entries_of(before), entries_of(left));
    for good in was.iter().filter(|entry| entry.state() == EntryState::Good) {
        let renamed = steps.iter().any(|step| match step {
            Step::Move { from, .. } => from.leaf() == good.to_string(),
            Step::Discard(place) => place.leaf() == good.to_string(),
            _ => false,
        });
        assert!(renamed || is.contains(good), "{good} was lost in {left:?}");
    }
    let floor = trust_of(left).floor;
    let good_before = was.iter().any(|entry| entry.state() == EntryState::Good);
    let good_left = is.iter().filter(|entry| entry.state() == EntryState::Good);
    assert!(
        !good_before || floor == trust_of(before).floor || good_left.count() > 0,
        "the floor is above every good entry: {left:?}"
    );
}
