//! Lays a tree out so that as much as can be stands where it stands in an older image: a machine
//! that has that one then has most blocks, and most blocks of the hash tree.
//!
//! What is the same stays. What is new or changed is gathered in long runs, in holes that are long
//! enough or else at the end; what went away leaves holes, of zeros. Only when too much of the image
//! would be holes are shorter ones filled too, and when that does not help, the image is laid out
//! anew.

mod blocks;
mod kin;
mod records;
mod room;

use super::{Areas, Layout, Need};
use crate::Result;
use crate::erofs::read::{Image, ReadAt};
use crate::spool::Spool;
use crate::tree::Tree;
use blocks::Ground;
use kin::Kin;
use serde::Serialize;

/// Whether a layout goes on from that of an older image.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Continuity {
    /// It does.
    Kept,
    /// It is the canonical one: the older one would have left too much of the image empty, or leaves
    /// no room for the root directory.
    Anew,
}

/// The part of an image that may be empty, as its reciprocal.
const MAX_WASTE: u64 = 10;
/// Blocks that may be empty however small the image is.
const TRIFLE: u64 = 16;

/// Holes of so many blocks are always filled: what stands in one is a long run too.
const LONG_HOLE: u64 = 32;

/// Which gaps between inodes are filled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gaps {
    /// Those in blocks that change anyway.
    InShaken,
    /// All.
    All,
}

impl<'t> Layout<'t> {
    /// Plans the image of `tree`, whose data is in `spool`, after the image `old`: a function of the
    /// tree, the UUID and `old`. If the tree is that of `old`, its layout is that of `old`.
    ///
    /// # Errors
    /// When EROFS cannot hold something in the tree, and when `old` contradicts the format.
    pub fn after<S: ReadAt + Sync>(
        (tree, spool): (&'t Tree, &Spool),
        uuid: [u8; 16],
        old: &Image<S>,
    ) -> Result<(Self, Continuity)> {
        let fewest = Self::of(tree, uuid)?.blocks();
        let (mut layout, needs) = Self::unplaced(tree)?;
        let kin = Kin::find(&layout, spool, old)?;
        for gaps in [Gaps::InShaken, Gaps::All] {
            let ground = layout.prepare(&needs, &kin, (old.superblock(), gaps));
            if let Some(areas) = ground.and_then(|ground| layout.build_densely(&ground, fewest)) {
                layout.describe(areas, uuid)?;
                return Ok((layout, Continuity::Kept));
            }
        }
        Ok((Self::of(tree, uuid)?, Continuity::Anew))
    }

    /// Places what is new so that as few holes are filled as density allows, the longest first.
    fn build_densely(&mut self, ground: &Ground, fewest: u64) -> Option<Areas> {
        let holes = ground.holes();
        let mut build = |count: usize| {
            let areas = self.build(ground, &holes[..count]);
            areas.filter(|areas| is_dense(areas.blocks, fewest))
        };
        let mut few = holes.partition_point(|hole| hole.length >= LONG_HOLE);
        if let Some(areas) = build(few) {
            return Some(areas);
        }
        let mut enough = holes.len();
        while few + 1 < enough {
            let middle = few.midpoint(enough);
            match build(middle) {
                Some(_) => enough = middle,
                None => few = middle,
            }
        }
        build(enough)
    }

    /// Undoes what an earlier placement decided.
    fn reset(&mut self, needs: &[Need]) {
        for (inode, need) in self.inodes.iter_mut().zip(needs) {
            inode.form = need.form;
            // It was converted before, when the inodes were listed.
            inode.blocks = need.blocks as u32;
        }
    }
}

/// Whether an image of so many blocks is not much longer than the shortest one of its tree.
fn is_dense(blocks: u64, fewest: u64) -> bool {
    let wasted = blocks.saturating_sub(fewest);
    wasted <= TRIFLE.max(blocks / MAX_WASTE)
}
