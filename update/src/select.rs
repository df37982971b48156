use std::cmp::Reverse;

use crate::{EntryName, EntryState};

/// The order in which to try `entries`, those below `floor` left out.
///
/// 1. Good entries and trials, the highest sequence first.
/// 2. As a last resort, bad ones: those first that had the fewest tries, then the highest sequence.
///    A try counts for them too, so that bad entries that crash take turns.
/// 3. Rejected ones, the highest sequence first: reached only when nothing else can be mounted,
///    where the alternative is a machine that does not boot at all.
///
/// Where two entries claim one sequence, the good one is first, then the higher version, then the
/// one with more tries left. What all the entries refuse is the recovery policy's.
pub fn select(entries: &[EntryName], floor: u64) -> Vec<EntryName> {
    let mut order: Vec<_> =
        entries.iter().filter(|entry| entry.sequence() >= floor).cloned().collect();
    order.sort_by(|a, b| rank(a).cmp(&rank(b)));
    order
}

/// The least is tried first.
fn rank(entry: &EntryName) -> impl Ord {
    let (class, turns) = match entry.state() {
        EntryState::Good | EntryState::Trial { .. } => (0, 0),
        EntryState::Bad { done } => (1, done.get()),
        EntryState::Rejected => (2, 0),
    };
    let counters = entry.state().counters();
    (
        class,
        turns,
        Reverse(entry.sequence()),
        u8::from(counters.is_some()),
        Reverse(entry.version().clone()),
        Reverse(counters),
    )
}
