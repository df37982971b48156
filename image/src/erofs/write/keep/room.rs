//! What of a row of numbered places is taken.

use std::collections::{BTreeMap, BTreeSet};

/// Taken runs of places: slots among inodes, or blocks of an image.
#[derive(Clone, Default)]
pub(super) struct Room {
    /// End by start; runs that touch are one.
    taken: BTreeMap<u64, u64>,
}

/// Whether there was room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Taken {
    /// All of the run was free, and is now taken.
    Now,
    /// Some of it was taken before, or it is no run; nothing changed.
    Not,
}

impl Room {
    /// Takes `length` places from `start` on, if all are free.
    pub(super) fn take(&mut self, start: u64, length: u64) -> Taken {
        let Some(end) = start.checked_add(length).filter(|end| *end > start) else {
            return Taken::Not;
        };
        let before = self.taken.range(..end).next_back().map(|(start, end)| (*start, *end));
        if before.is_some_and(|(_, before)| before > start) {
            return Taken::Not;
        }
        self.join(before, start, end);
        Taken::Now
    }

    /// The first place behind all that are taken.
    pub(super) fn end(&self) -> u64 {
        self.taken.last_key_value().map_or(0, |(_, end)| *end)
    }

    /// The runs that are taken, as start and end.
    pub(super) fn runs(&self) -> impl Iterator<Item = (u64, u64)> {
        self.taken.iter().map(|(start, end)| (*start, *end))
    }

    /// The runs between those that are taken.
    pub(super) fn holes(&self) -> impl Iterator<Item = Hole> {
        let starts = self.runs().skip(1).map(|(start, _)| start);
        let gaps = self.runs().zip(starts);
        gaps.map(|((_, start), end)| Hole { length: end - start, start })
    }

    fn join(&mut self, before: Option<(u64, u64)>, start: u64, end: u64) {
        let start = match before {
            Some((earlier, touches)) if touches == start => earlier,
            _ => start,
        };
        let end = self.taken.remove(&end).unwrap_or(end);
        self.taken.insert(start, end);
    }
}

/// A run of free places.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Hole {
    pub(super) length: u64,
    pub(super) start: u64,
}

impl Hole {
    /// The parts of it that lie in rows of `row` places each.
    pub(super) fn by_rows(self, row: u64) -> impl Iterator<Item = Self> {
        let end = self.start + self.length;
        (self.start / row..end.div_ceil(row)).map(move |index| {
            let start = self.start.max(index * row);
            Self { length: end.min((index + 1) * row) - start, start }
        })
    }
}

/// Holes to be filled, the smallest that is large enough first.
pub(super) struct Holes(BTreeSet<Hole>);

impl Holes {
    pub(super) fn new(holes: impl Iterator<Item = Hole>) -> Self {
        Self(holes.filter(|hole| hole.length > 0).collect())
    }

    /// The beginning of the hole that `length` places fill best. The rest of it stays a hole.
    pub(super) fn fill(&mut self, length: u64) -> Option<u64> {
        self.fill_from(0, length)
    }

    /// The same of the holes that begin at `first` or later.
    pub(super) fn fill_from(&mut self, first: u64, length: u64) -> Option<u64> {
        let mut large = self.0.range(Hole { length, start: 0 }..);
        let hole = *large.find(|hole| hole.start >= first)?;
        self.0.remove(&hole);
        let rest = Hole { length: hole.length - length, start: hole.start + length };
        if rest.length > 0 {
            self.0.insert(rest);
        }
        Some(hole.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(runs: &[(u64, u64)]) -> Room {
        let mut room = Room::default();
        for (start, length) in runs {
            assert_eq!(room.take(*start, *length), Taken::Now);
        }
        room
    }

    #[test]
    fn what_is_taken_is_not_taken_twice() {
        let mut room = room(&[(10, 10), (30, 10)]);
        for (start, length) in [(5, 6), (19, 1), (0, 100), (12, 3), (29, 2), (u64::MAX, 2), (3, 0)]
        {
            assert_eq!(room.take(start, length), Taken::Not, "{start} + {length}");
        }
        assert_eq!(room.take(20, 10), Taken::Now);
        assert_eq!(room.runs().collect::<Vec<_>>(), [(10, 40)]);
    }

    #[test]
    fn holes_are_what_lies_between() {
        let room = room(&[(0, 1), (5, 5), (20, 1)]);
        let holes = [Hole { length: 4, start: 1 }, Hole { length: 10, start: 10 }];
        assert_eq!(room.holes().collect::<Vec<_>>(), holes);
        assert_eq!(room.end(), 21);
    }

    #[test]
    fn a_hole_is_cut_where_rows_end() {
        let parts = Hole { start: 7, length: 9 }.by_rows(5).map(|part| (part.start, part.length));
        assert_eq!(parts.collect::<Vec<_>>(), [(7, 3), (10, 5), (15, 1)]);
    }

    #[test]
    fn the_smallest_hole_that_is_large_enough_is_filled() {
        let mut holes = Holes::new(room(&[(0, 1), (5, 5), (20, 1)]).holes());
        assert_eq!(holes.fill(5), Some(10));
        assert_eq!(holes.fill(4), Some(1));
        assert_eq!(holes.fill(4), Some(15));
        assert_eq!(holes.fill(2), None);
        assert_eq!(holes.fill_from(20, 1), None);
        assert_eq!(holes.fill_from(19, 1), Some(19));
    }
}
