//! What to do to the store's names for each thing that happens: pure, and in the order in which a
//! power cut after any step leaves a machine that boots.

use crate::mark::{LAPSES, UNCLEAN_BOOTS};
use crate::trust::Record;
use crate::{
    BadSeal, EntryName, EntryState, Error, Event, Hold, Mark, Place, Step, Tries, Trust, select,
};

/// More than one a release is wasteful already; with the lowest sequences forgotten first, what is
/// forgotten is too old to be installed by itself anyway.
pub const MAX_BAD: usize = 64;

/// An entry's new name, and how it gets it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The name afterwards.
    pub name: EntryName,
    /// What to do, in order; empty where the name stays.
    pub steps: Vec<Step>,
}

/// Counts a try of `entry`.
pub fn count_try(entries: &[EntryName], entry: &EntryName) -> Change {
    happen(entries, entry, Event::Try, Tries::DEFAULT)
}

/// Begins a new round of last resorts when every bad entry that may boot had nine tries: all are set
/// back to one, or the tie would go to the same one for ever. To be done before the entries are
/// ordered; the one that comes last in the order is first here, so that after a cut it has its turn.
pub fn new_round(entries: &[EntryName], floor: u64) -> Vec<Step> {
    let is_bad = |entry: &EntryName| matches!(entry.state(), EntryState::Bad { .. });
    let last_of_round = EntryState::Bad { done: Tries::MAX };
    let mut order = select(entries, floor);
    order.retain(is_bad);
    if order.len() < 2 || order.iter().any(|entry| entry.state() != last_of_round) {
        return Vec::new();
    }
    let first_of_round = EntryState::Bad { done: Tries::ONE };
    order.iter().rev().flat_map(|entry| rename(entries, entry, first_of_round).steps).collect()
}

/// Makes `entry` good, then raises the floor to its seal's.
///
/// In this order because a cut in between leaves one more entry that may boot; the other way round
/// it could leave a floor above every good entry. What the cut left undone is done by the next
/// blessing: blessing a good entry raises the floor too.
pub fn bless(entries: &[EntryName], trust: &Trust, entry: &EntryName, floor: u64) -> Change {
    let mut change = happen(entries, entry, Event::Bless, Tries::DEFAULT);
    if change.name.state() == EntryState::Good {
        change.steps.extend(raise_floor(trust, floor.min(entry.sequence())));
    }
    change
}

/// Puts an entry that failed while it ran on trial again if it was good, or makes it bad if that
/// has happened too often. The name comes first: it decides what boots next.
pub fn demote(entries: &[EntryName], trust: &Trust, entry: &EntryName, tries: Tries) -> Change {
    if entry.state() != EntryState::Good {
        return unchanged(entry);
    }
    let mark = trust.mark().lapsed(entry.sequence());
    let (_, lapses) = mark.counts_of(entry.sequence());
    let mut change = if lapses < LAPSES {
        happen(entries, entry, Event::Demote, tries)
    } else {
        happen(entries, entry, Event::Condemn, end_of_queue(entries, tries))
    };
    change.steps.extend(set_mark(trust, mark));
    change
}

/// What a condemned entry has for tries done: more than the other bad ones, or it would be the first
/// of the last resorts again.
fn end_of_queue(entries: &[EntryName], tries: Tries) -> Tries {
    let highest = entries.iter().filter_map(|entry| match entry.state() {
        EntryState::Bad { done } => Some(done.one_more()),
        EntryState::Good | EntryState::Trial { .. } | EntryState::Rejected => None,
    });
    highest.fold(tries, Tries::max)
}

/// Puts the good entry that ran last on trial again after three boots without a clean shutdown.
pub fn doubt(entries: &[EntryName], trust: &Trust, tries: Tries) -> Option<Change> {
    let entry = last_run(entries, trust)?;
    let (boots, _) = trust.mark().counts_of(entry.sequence());
    (boots >= UNCLEAN_BOOTS).then(|| happen(entries, entry, Event::Demote, tries))
}

/// The good entry that ran when the machine stopped without a clean shutdown.
pub fn last_run<'a>(entries: &'a [EntryName], trust: &Trust) -> Option<&'a EntryName> {
    let Mark::Running { sequence, .. } = trust.mark() else { return None };
    let is_it = |entry: &&EntryName| entry.sequence() == sequence;
    entries.iter().filter(is_it).find(|entry| entry.state() == EntryState::Good)
}

/// Rejects every good entry and every trial above `target`, the newest first, so that what boots
/// after a cut is a good entry each time; after the last step `target` is the next to boot.
///
/// Only to a good entry at or above the floor: nothing else is known to boot.
pub fn roll_back(
    entries: &[EntryName],
    floor: u64,
    target: &EntryName,
) -> Result<Vec<Step>, Error> {
    let refuse = |cause| Error::RollBack { target: target.to_string(), cause };
    if !entries.contains(target) {
        return Err(refuse("it is not here"));
    }
    if target.state() != EntryState::Good {
        return Err(refuse("it is not good"));
    }
    if target.sequence() < floor {
        return Err(refuse("it is below the floor"));
    }
    let order = select(entries, floor);
    let before = order.iter().take_while(|entry| *entry != target);
    Ok(before.flat_map(|entry| rename(entries, entry, EntryState::Rejected).steps).collect())
}

/// The entries that are not kept: not among the first `keep` that would be tried, not the newest
/// good one, not pinned, and without a protected sequence. Pinned ones are not counted. The last that
/// would be tried comes first.
pub fn surplus(
    entries: &[EntryName],
    trust: &Trust,
    keep: usize,
    protected: &[u64],
) -> Vec<EntryName> {
    let mut order = select(entries, trust.floor);
    let newest_good = order.iter().find(|entry| entry.state() == EntryState::Good).cloned();
    order.retain(|entry| !trust.pinned.contains(&entry.sequence()));
    let is_kept = |entry: &EntryName| {
        Some(entry) == newest_good.as_ref()
            || trust.pinned.contains(&entry.sequence())
            || protected.contains(&entry.sequence())
    };
    let below_floor = entries.iter().filter(|entry| entry.sequence() < trust.floor);
    let surplus = below_floor.chain(order.iter().skip(keep).rev());
    surplus.filter(|entry| !is_kept(entry)).cloned().collect()
}

/// Takes entries out of `images/` at once. What is in them may be deleted after the last step.
pub fn discard(entries: &[EntryName]) -> Vec<Step> {
    let mut steps: Vec<_> =
        entries.iter().map(|entry| Step::Discard(Place::entry(entry))).collect();
    if !steps.is_empty() {
        steps.push(Step::SyncDir(Place::images()));
    }
    steps
}

/// Renames `entry` as `event` wants it.
pub fn happen(entries: &[EntryName], entry: &EntryName, event: Event, tries: Tries) -> Change {
    rename(entries, entry, entry.state().after(event, tries))
}

/// Raises the floor; never lowers it.
pub fn raise_floor(trust: &Trust, floor: u64) -> Vec<Step> {
    match (floor > trust.floor, trust.floor) {
        (false, _) => Vec::new(),
        (true, 0) => new_record(Record::Floor(floor)),
        (true, old) => change_record(Record::Floor(old), Record::Floor(floor)),
    }
}

/// Remembers that something is bad. Where too many are remembered already, the one with the lowest sequence
/// gives its file.
pub fn remember_bad(trust: &Trust, bad: BadSeal) -> Vec<Step> {
    match trust.bad.as_slice() {
        known if known.contains(&bad) => Vec::new(),
        [lowest, ..] if trust.bad.len() >= MAX_BAD => {
            change_record(Record::Bad(*lowest), Record::Bad(bad))
        }
        _ => new_record(Record::Bad(bad)),
    }
}

/// Keeps the entry with this sequence until it is let go again.
pub fn pin(trust: &Trust, sequence: u64) -> Vec<Step> {
    add(Record::Pinned(sequence), trust.pinned.contains(&sequence))
}

/// Lets the entry with this sequence go as every other one.
pub fn unpin(trust: &Trust, sequence: u64) -> Vec<Step> {
    take_back(Record::Pinned(sequence), trust.pinned.contains(&sequence))
}

/// Notes the image that the machine came with; only once.
pub fn ship(trust: &Trust, sequence: u64) -> Vec<Step> {
    add(Record::Shipped(sequence), trust.shipped.is_some())
}

/// Notes that an entry was left because its registry could not be reached, and for nothing else.
pub fn note_unreached(trust: &Trust, sequence: u64) -> Vec<Step> {
    add(Record::Unreached(sequence), trust.unreached.contains(&sequence))
}

/// Forgets it: the entry is tried again, or it was its own fault after all.
pub fn forget_unreached(trust: &Trust, sequence: u64) -> Vec<Step> {
    take_back(Record::Unreached(sequence), trust.unreached.contains(&sequence))
}

/// Makes the machine wait for its operator with updates, or not.
pub fn set_hold(trust: &Trust, hold: Hold) -> Vec<Step> {
    match hold {
        Hold::On => add(Record::Hold, trust.hold == Hold::On),
        Hold::Off => take_back(Record::Hold, trust.hold == Hold::On),
    }
}

/// Makes `mark` the only one.
pub fn set_mark(trust: &Trust, mark: Mark) -> Vec<Step> {
    let mut surplus = trust.marks.clone();
    let steps = match surplus.pop() {
        Some(old) if old == mark => Vec::new(),
        Some(old) => change_record(Record::Mark(old), Record::Mark(mark)),
        None => new_record(Record::Mark(mark)),
    };
    let removals = surplus.into_iter().map(|old| Step::Unlink(record(Record::Mark(old))));
    removals.chain(steps).collect()
}

/// A name that is taken already, by what can only be an odd copy, is cleared first.
fn rename(entries: &[EntryName], entry: &EntryName, state: EntryState) -> Change {
    if entry.state() == state {
        return unchanged(entry);
    }
    let name = entry.with_state(state);
    let mut steps = Vec::new();
    if entries.contains(&name) {
        steps.extend([Step::Discard(Place::entry(&name)), Step::SyncDir(Place::images())]);
    }
    steps.push(Step::Move { from: Place::entry(entry), to: Place::entry(&name) });
    steps.push(Step::SyncDir(Place::images()));
    Change { name, steps }
}

fn unchanged(entry: &EntryName) -> Change {
    Change { name: entry.clone(), steps: Vec::new() }
}

fn new_record(new: Record) -> Vec<Step> {
    vec![Step::Touch(record(new)), Step::SyncDir(Place::trust())]
}

fn add(new: Record, is_there: bool) -> Vec<Step> {
    if is_there { Vec::new() } else { new_record(new) }
}

fn take_back(old: Record, is_there: bool) -> Vec<Step> {
    if !is_there {
        return Vec::new();
    }
    vec![Step::Unlink(record(old)), Step::SyncDir(Place::trust())]
}

fn change_record(old: Record, new: Record) -> Vec<Step> {
    vec![Step::Move { from: record(old), to: record(new) }, Step::SyncDir(Place::trust())]
}

fn record(record: Record) -> Place {
    Place::trust().child(&record.to_string())
}
