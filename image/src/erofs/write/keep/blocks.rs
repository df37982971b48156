//! Blocks: those of the older image where what stands there is the same, holes, or the end.

use super::super::{Areas, Layout, Need};
use super::Gaps;
use super::kin::{Kin, Likeness};
use super::records::Records;
use super::room::{Hole, Holes, Room, Taken};
use crate::erofs::format::{BLOCK, HOLE, SLOT, Superblock};
use std::cmp::Reverse;

/// An image in which stands what stays, and what is to be placed in it.
pub(super) struct Ground {
    /// Blocks.
    room: Room,
    records: Records,
    meta_block: u64,
    /// Where the shared xattrs are, if they stay.
    xattr_block: Option<u64>,
    /// Ranks of the inodes whose data stands nowhere yet.
    fresh: Vec<u32>,
}

impl Ground {
    /// Its holes, the longest first.
    pub(super) fn holes(&self) -> Vec<Hole> {
        let mut holes: Vec<Hole> = self.room.holes().collect();
        holes.sort_unstable_by_key(|hole| (Reverse(hole.length), hole.start));
        holes
    }
}

impl Layout<'_> {
    /// Leaves everything that it can where it is in the older image, whose `superblock` this is.
    /// `None` if that is no ground to build on.
    pub(super) fn prepare(
        &mut self,
        needs: &[Need],
        kin: &Kin,
        (superblock, gaps): (&Superblock, Gaps),
    ) -> Option<Ground> {
        self.reset(needs);
        let meta_block = u64::from(superblock.meta_block.get());
        let records = self.place_records(needs, kin, gaps)?;
        let mut room = occupied(meta_block, &records)?;
        let old_xattrs = u64::from(superblock.xattr_block.get());
        let xattr_block = keep(&mut room, old_xattrs, self.shared.blocks());
        let fresh = self.keep_data(kin, &mut room);
        Some(Ground { room, records, meta_block, xattr_block, fresh })
    }

    /// Gives what is new its place, in these holes or at the end. `None` if EROFS cannot count so
    /// far.
    pub(super) fn build(&mut self, ground: &Ground, holes: &[Hole]) -> Option<Areas> {
        let holes = Holes::new(holes.iter().copied());
        let mut site = Site { room: ground.room.clone(), holes };
        let start = site.build_behind(ground.meta_block, ground.records.blocks_behind);
        self.place_behind(&ground.records, (start - ground.meta_block) * (BLOCK / SLOT))?;
        self.place_fresh(ground.fresh.clone(), &mut site)?;
        let xattr_block = match ground.xattr_block {
            Some(block) => block,
            None => site.build(self.shared.blocks()),
        };
        let blocks = site.room.end();
        let xattr_block = xattr_block.min(blocks);
        let areas = Areas { meta_block: ground.meta_block, xattr_block, blocks };
        (blocks < u64::from(HOLE)).then_some(areas)
    }

    /// Leaves data where it is, the same first, then what is much the same, then directories and
    /// symlinks. Returns the ranks of those that stand nowhere yet.
    fn keep_data(&mut self, kin: &Kin, room: &mut Room) -> Vec<u32> {
        let mut fresh: Vec<u32> = self.with_blocks().collect();
        for wanted in [Likeness::Same, Likeness::Much, Likeness::Metadata] {
            fresh.retain(|rank| {
                let old = kin.data[*rank as usize].filter(|old| old.likeness == wanted);
                let inode = &mut self.inodes[*rank as usize];
                let blocks = u64::from(inode.blocks);
                let stays = old.filter(|old| room.take(old.first_block, blocks) == Taken::Now);
                stays.iter().for_each(|old| inode.first_block = old.first_block as u32);
                stays.is_none()
            });
        }
        fresh
    }

    /// Fills holes, the longest data first, because short data finds a hole later too. What fits in
    /// none goes to the end in the canonical order.
    fn place_fresh(&mut self, mut fresh: Vec<u32>, site: &mut Site) -> Option<()> {
        fresh.sort_by_key(|rank| self.data_order(*self.ranked(*rank)));
        let mut last = Vec::new();
        for rank in fresh.into_iter().rev() {
            let inode = &mut self.inodes[rank as usize];
            match site.fill(inode.blocks.into()) {
                Some(at) => inode.first_block = u32::try_from(at).ok()?,
                None => last.push(rank),
            }
        }
        for rank in last.into_iter().rev() {
            let inode = &mut self.inodes[rank as usize];
            inode.first_block = u32::try_from(site.append(inode.blocks.into())).ok()?;
        }
        Some(())
    }
}

/// The superblock, and the blocks of inodes. `None` if those overlap.
fn occupied(meta_block: u64, records: &Records) -> Option<Room> {
    let mut room = Room::default();
    room.take(0, 1);
    let mut blocks = records.blocks().into_iter();
    blocks.all(|block| room.take(meta_block + block, 1) == Taken::Now).then_some(room)
}

/// Where `blocks` stay that stand at `old`, if they can. Nothing stands anywhere.
fn keep(room: &mut Room, old: u64, blocks: u64) -> Option<u64> {
    (blocks == 0 || room.take(old, blocks) == Taken::Now).then_some(old)
}

/// An image with what stays in its place, and holes to be filled.
struct Site {
    room: Room,
    holes: Holes,
}

impl Site {
    /// Blocks in a hole.
    fn fill(&mut self, blocks: u64) -> Option<u64> {
        self.holes.fill(blocks).filter(|at| self.room.take(*at, blocks) == Taken::Now)
    }

    /// Blocks at the end.
    fn append(&mut self, blocks: u64) -> u64 {
        let at = self.room.end();
        self.room.take(at, blocks);
        at
    }

    /// Blocks in a hole, or else at the end.
    fn build(&mut self, blocks: u64) -> u64 {
        self.fill(blocks).unwrap_or_else(|| self.append(blocks))
    }

    /// The same for inodes, which cannot stand before their first block.
    fn build_behind(&mut self, meta_block: u64, blocks: u64) -> u64 {
        match blocks {
            0 => meta_block,
            _ => self.fill_behind(meta_block, blocks).unwrap_or_else(|| self.append(blocks)),
        }
    }

    fn fill_behind(&mut self, first: u64, blocks: u64) -> Option<u64> {
        let hole = self.holes.fill_from(first, blocks);
        hole.filter(|at| self.room.take(*at, blocks) == Taken::Now)
    }
}
