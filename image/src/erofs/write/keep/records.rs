//! Slots for inodes: those of the older image where they are large enough, gaps, or blocks behind.

use super::super::canonical::after_gap;
use super::super::{Form, Layout, Need, Placed};
use super::Gaps;
use super::kin::{Kin, OldRecord};
use super::room::{Hole, Holes, Room, Taken};
use crate::erofs::format::{BLOCK, SLOT};
use std::collections::BTreeSet;

/// Slots in a block.
const IN_BLOCK: u64 = BLOCK / SLOT;

/// Where inodes stand, as far as they do.
pub(super) struct Records {
    /// Slots, counted from the first block of inodes.
    room: Room,
    /// Ranks of the inodes that stand in blocks still to be placed, and their slots in those.
    behind: Vec<(u32, u64)>,
    /// How many blocks that are.
    pub(super) blocks_behind: u64,
}

impl Layout<'_> {
    /// Gives each inode its slot, except those that stand in new blocks behind. `None` if the root
    /// cannot stay, whose number has 16 bits only.
    pub(super) fn place_records(
        &mut self,
        needs: &[Need],
        kin: &Kin,
        which: Gaps,
    ) -> Option<Records> {
        let mut room = Room::default();
        // Number 0 is no file to `readdir`.
        room.take(0, 1);
        let grown = self.keep_slots(needs, kin, &mut room);
        let mut homeless = self.grow_slots(needs, &grown, &mut room);
        if homeless.contains(&self.ranks[self.tree.root().index()]) {
            return None;
        }
        homeless.extend(ranks(self).filter(|rank| kin.records[*rank as usize].is_none()));
        homeless.sort_unstable();
        let gaps = gaps(&room, kin, which);
        let homeless = self.fill_gaps(needs, homeless, (gaps, &mut room));
        Some(stack(needs, homeless, room))
    }

    /// Inodes that are no longer than they were stay. Returns those that are.
    fn keep_slots(&mut self, needs: &[Need], kin: &Kin, room: &mut Room) -> Vec<(u32, OldRecord)> {
        let mut others = Vec::new();
        for rank in ranks(self) {
            let Some(old) = kin.records[rank as usize] else { continue };
            let need = needs[rank as usize].record;
            let stays = need <= old.length && take(room, old.nid, need) == Taken::Now;
            match stays {
                true => self.inodes[rank as usize].stand_at(old.nid),
                false => others.push((rank, old)),
            }
        }
        others
    }

    /// Longer ones stay where there is room behind them, and where directories and symlinks find
    /// none, their tail goes into a block of its own: a directory that moves would change all
    /// directories in it. Returns those that do not stay.
    fn grow_slots(
        &mut self,
        needs: &[Need],
        grown: &[(u32, OldRecord)],
        room: &mut Room,
    ) -> Vec<u32> {
        let mut homeless = Vec::new();
        for (rank, old) in grown {
            let need = &needs[*rank as usize];
            let inode = &mut self.inodes[*rank as usize];
            if take(room, old.nid, need.record) == Taken::Now {
                inode.stand_at(old.nid);
            } else if need.form == Form::Inline && take(room, old.nid, need.head) == Taken::Now {
                inode.stand_at(old.nid);
                inode.form = Form::Plain;
                inode.blocks += 1;
            } else {
                homeless.push(*rank);
            }
        }
        homeless
    }

    /// Puts inodes into gaps, and returns those that fit in none.
    fn fill_gaps(
        &mut self,
        needs: &[Need],
        mut homeless: Vec<u32>,
        (mut gaps, room): (Holes, &mut Room),
    ) -> Vec<u32> {
        homeless.retain(|rank| {
            let slots = slots(needs[*rank as usize].record);
            let gap = gaps.fill(slots).filter(|at| room.take(*at, slots) == Taken::Now);
            gap.iter().for_each(|at| self.inodes[*rank as usize].stand_at(*at));
            gap.is_none()
        });
        homeless
    }

    /// Says where the blocks behind begin, in slots. `None` if slots there have too large numbers.
    pub(super) fn place_behind(&mut self, records: &Records, start: u64) -> Option<()> {
        for (rank, slot) in &records.behind {
            let nid = start + slot;
            u32::try_from(nid).ok()?;
            self.inodes[*rank as usize].stand_at(nid);
        }
        Some(())
    }
}

impl Records {
    /// The blocks that inodes stand in, counted from the first.
    pub(super) fn blocks(&self) -> BTreeSet<u64> {
        self.room.runs().flat_map(blocks_of).collect()
    }
}

impl Placed {
    /// `nid` was seen to fit.
    fn stand_at(&mut self, nid: u64) {
        self.nid = nid as u32;
    }
}

/// Takes the slots of a record, if EROFS lets it stand there.
fn take(room: &mut Room, nid: u64, length: u64) -> Taken {
    let may_stand = u32::try_from(nid).is_ok() && after_gap(nid * SLOT, length) == nid * SLOT;
    if may_stand { room.take(nid, slots(length)) } else { Taken::Not }
}

/// What inodes can be put into: the gaps of blocks that change anyway and of the last one, or of
/// all.
fn gaps(room: &Room, kin: &Kin, which: Gaps) -> Holes {
    let last = room.end().next_multiple_of(IN_BLOCK);
    let behind = Hole { length: last - room.end(), start: room.end() };
    let between = room.holes().flat_map(|hole| hole.by_rows(IN_BLOCK));
    let filled = between.filter(|gap| {
        let block = gap.start / IN_BLOCK;
        kin.shaken.contains(&block) || which == Gaps::All && gap.length < IN_BLOCK
    });
    Holes::new(filled.chain([behind]))
}

/// Puts inodes one behind the other into blocks of their own.
fn stack(needs: &[Need], inodes: Vec<u32>, room: Room) -> Records {
    let (mut cursor, mut behind) = (0, Vec::with_capacity(inodes.len()));
    for rank in inodes {
        let record = needs[rank as usize].record;
        cursor = after_gap(cursor, record);
        behind.push((rank, cursor / SLOT));
        cursor = (cursor + record).next_multiple_of(SLOT);
    }
    Records { room, behind, blocks_behind: cursor.div_ceil(BLOCK) }
}

fn blocks_of((start, end): (u64, u64)) -> std::ops::Range<u64> {
    start / IN_BLOCK..end.div_ceil(IN_BLOCK)
}

fn slots(bytes: u64) -> u64 {
    bytes.div_ceil(SLOT)
}

fn ranks(layout: &Layout<'_>) -> std::ops::Range<u32> {
    0..layout.inodes.len() as u32
}
