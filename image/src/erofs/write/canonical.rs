//! The order of an image that is a function of the tree alone.

use super::{Areas, Layout, Need, block_number};
use crate::Result;
use crate::erofs::format::{BLOCK, SLOT};

impl Layout<'_> {
    /// Data, then inodes, then shared xattrs.
    pub(super) fn place_in_order(&mut self, needs: &[Need]) -> Result<Areas> {
        let inode_blocks = self.place_inodes(needs)?;
        let meta_block = self.place_data()?;
        let xattr_block = meta_block + inode_blocks;
        Ok(Areas { meta_block, xattr_block, blocks: xattr_block + self.shared.blocks() })
    }

    /// Gives each inode its slot, and returns the blocks that all take.
    fn place_inodes(&mut self, needs: &[Need]) -> Result<u64> {
        // Slot 0 stays free: number 0 is no file to `readdir`.
        let mut cursor = SLOT;
        for (inode, need) in self.inodes.iter_mut().zip(needs) {
            cursor = after_gap(cursor, need.record);
            inode.nid = block_number(cursor / SLOT)?;
            cursor = (cursor + need.record).next_multiple_of(SLOT);
        }
        Ok(cursor.div_ceil(BLOCK))
    }

    /// Gives data its blocks, and returns the first one behind them.
    fn place_data(&mut self) -> Result<u64> {
        let mut data: Vec<u32> = self.with_blocks().collect();
        data.sort_by_key(|rank| self.data_order(*self.ranked(*rank)));
        let mut next = 1;
        for rank in data {
            let inode = &mut self.inodes[rank as usize];
            inode.first_block = block_number(next)?;
            next += u64::from(inode.blocks);
        }
        Ok(next)
    }
}

/// Where a record of `length` bytes may stand from `cursor` on: what fits in a block crosses none.
pub(super) fn after_gap(cursor: u64, length: u64) -> u64 {
    if cursor % BLOCK + length.min(BLOCK) > BLOCK { cursor.next_multiple_of(BLOCK) } else { cursor }
}
