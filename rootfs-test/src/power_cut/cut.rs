//! The states that a cut could leave of a disk: what was answered before, but of what was written since the last flush any
//! subset, and of the last write any of its sectors.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use pintle_verify::Digest;

use super::write_log::{Entry, Lasting, SECTOR, Write};

/// A disk's content when it was recorded first, and what it was told then.
#[derive(Debug)]
pub struct Tape {
    /// The content before.
    pub base: Vec<u8>,
    /// What it was told.
    pub entries: Vec<Entry>,
}

/// A cut after the first `position` entries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cut {
    /// How many requests the disk had answered.
    pub position: usize,
    /// Those of them that did not survive.
    pub lost: Vec<usize>,
    /// The sectors of the last one that survived, as bits, the first the lowest; from the 64th on they begin anew.
    pub sectors: u64,
}

/// All sectors of the last write.
const WHOLE: u64 = u64::MAX;

/// How many states are made of each position beside the plain one.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// With any subset of what may be lost.
    pub subsets: usize,
    /// With the last write torn.
    pub torn: usize,
}

impl Tape {
    /// States that a cut at these positions could leave, the same for the same seed.
    pub fn cuts(&self, positions: RangeInclusive<usize>, spread: Spread, seed: u64) -> Vec<Cut> {
        let mut random = Random(seed | 1);
        positions.flat_map(|position| self.cuts_at(position, spread, &mut random)).collect()
    }

    fn cuts_at(&self, position: usize, spread: Spread, random: &mut Random) -> Vec<Cut> {
        let loose = self.loose(position);
        let mut cuts = vec![Cut { position, lost: Vec::new(), sectors: WHOLE }];
        if !loose.is_empty() {
            cuts.push(Cut { position, lost: loose.clone(), sectors: WHOLE });
            cuts.extend((0..spread.subsets).map(|_| {
                let lost = loose.iter().copied().filter(|_| random.next() & 1 == 0).collect();
                Cut { position, lost, sectors: WHOLE }
            }));
        }
        if let Some(Entry::Write(_)) =
            position.checked_sub(1).and_then(|last| self.entries.get(last))
        {
            let before: Vec<_> = loose.into_iter().filter(|index| index + 1 != position).collect();
            cuts.extend((0..spread.torn).map(|number| {
                let lost =
                    before.iter().copied().filter(|_| number % 2 == 1 && random.next() & 1 == 0);
                Cut { position, lost: lost.collect(), sectors: random.next() }
            }));
        }
        cuts
    }

    /// The writes before a position that no flush has made durable.
    fn loose(&self, position: usize) -> Vec<usize> {
        let before = self.entries.get(..position).unwrap_or_default();
        let flushed =
            before.iter().rposition(|entry| *entry == Entry::Flush).map_or(0, |at| at + 1);
        let is_loose = |index: &usize| {
            matches!(&before[*index], Entry::Write(Write { lasting: Lasting::Cached, .. }))
        };
        (flushed..position).filter(is_loose).collect()
    }

    /// What is on the disk after a cut.
    pub fn content(&self, cut: &Cut) -> Vec<u8> {
        let mut content = self.base.clone();
        for (sector, bytes) in self.changes(cut) {
            let start = sector as usize * SECTOR;
            content[start..start + SECTOR].copy_from_slice(bytes);
        }
        content
    }

    /// What tells one state from another.
    pub fn digest(&self, cut: &Cut) -> Digest {
        let mut described = Vec::new();
        for (sector, bytes) in self.changes(cut) {
            let start = sector as usize * SECTOR;
            if self.base[start..start + SECTOR] != *bytes {
                described.extend(sector.to_le_bytes());
                described.extend(bytes);
            }
        }
        Digest::of(&described)
    }

    fn changes(&self, cut: &Cut) -> BTreeMap<u64, &[u8]> {
        let mut changes = BTreeMap::new();
        for (index, entry) in self.entries[..cut.position].iter().enumerate() {
            let Entry::Write(write) = entry else { continue };
            if cut.lost.contains(&index) {
                continue;
            }
            let survivors = if index + 1 == cut.position { cut.sectors } else { WHOLE };
            for (number, bytes) in (0..).zip(write.bytes.chunks(SECTOR)) {
                if survivors >> (number % 64) & 1 == 1 {
                    changes.insert(write.sector + number, bytes);
                }
            }
        }
        changes
    }
}

/// Marsaglia's xorshift64: the same numbers in every run and on every machine.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
