//! Bytes that are here, but not where blocks begin: what follows an insertion in a file.

use std::fs::File;

use pintle_verify::verity::BLOCK;

use super::image::Image;
use crate::Error;
use crate::block_file::{Block, offset};
use crate::local::read_up_to;

/// How many bytes may have been removed; what was inserted must end in the first frame.
const FAR: u64 = 1 << 20;

/// So many bytes are looked for.
const NEEDLE: usize = 64;

/// Places where they are that are tried: what occurs more often says nothing about what follows.
const MAX_PLACES: usize = 4;

/// An older image, and where in it the bytes begin that were changed.
#[derive(Clone, Copy)]
pub(super) struct Trail<'a> {
    pub(super) image: &'a File,
    pub(super) block: u64,
}

impl Image<'_> {
    /// Makes the blocks from `next` on out of what follows, in an older image, the same bytes that precede them here. `length` is
    /// how many blocks there are between where the trail begins and `next`. Gives how many were made.
    pub(super) fn follow(
        &mut self,
        next: u64,
        length: u64,
        trail: Trail<'_>,
    ) -> Result<u64, Error> {
        let Some(last) = next.checked_sub(1) else { return Ok(0) };
        let last = self.read(last)?;
        let needle = last.get(BLOCK - NEEDLE..).unwrap_or_default();
        if needle.iter().all(|byte| needle.first() == Some(byte)) {
            return Ok(0);
        }
        let window = read(trail.image, offset(trail.block), offset(length) + FAR);
        let found = window.windows(NEEDLE).enumerate().filter(|(_, bytes)| *bytes == needle);
        for (at, _) in found.take(MAX_PLACES) {
            let from = offset(trail.block) + (at + NEEDLE) as u64;
            match self.copy_from(next, trail.image, from)? {
                0 => {}
                copied => return Ok(copied),
            }
        }
        Ok(0)
    }

    /// Copies blocks as long as they are missing and right.
    fn copy_from(&mut self, first: u64, image: &File, from: u64) -> Result<u64, Error> {
        let mut copied = 0;
        while self.is_missing(first + copied) {
            let bytes = read(image, from + offset(copied), offset(1));
            let Some(block) = self.right_of(first + copied, &bytes, from) else { break };
            self.write(first + copied, &block)?;
            copied += 1;
        }
        Ok(copied)
    }

    /// The bytes as a block: as they are, or, where a file ends, with zeros from where the older image's block ends.
    fn right_of(&self, number: u64, bytes: &[u8], from: u64) -> Option<Block> {
        let block: Block = bytes.try_into().ok()?;
        if self.is_right(number, &block) {
            return Some(block);
        }
        let mut last = block;
        let end = BLOCK - (from % offset(1)) as usize;
        last.get_mut(end..)?.fill(0);
        self.is_right(number, &last).then_some(last)
    }
}

/// What is there of so many bytes. What cannot be read is as good as not there.
fn read(image: &File, at: u64, length: u64) -> Vec<u8> {
    let mut bytes = vec![0; length as usize];
    let count = read_up_to(image, &mut bytes, at);
    bytes.truncate(count);
    bytes
}
