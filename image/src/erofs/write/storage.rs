//! How a regular file's data is stored: whole, or in chunks where it has holes.

use crate::erofs::format::{BLOCK, HOLE, MAP_ENTRY};
use crate::tree::Content;
use std::iter::Peekable;
use std::ops::Range;

/// Binary logarithm of the blocks in the longest chunk: the format's limit. With it the map of the
/// longest file that Linux has takes 4 MiB if nothing is in it.
const MAX_BITS: u8 = 31;

/// Bytes that holes must save before a file is stored in chunks, unless they are half of it. A
/// whole file is one mapping for the kernel, and programs have a page of zeros here and there.
const WORTH: u64 = 16 * BLOCK;

/// How a regular file's data is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Storage {
    /// One run of blocks, with zeros where the holes are.
    Whole,
    /// Chunks; those without data are not stored.
    Chunked {
        /// Binary logarithm of the blocks in a chunk.
        bits: u8,
    },
}

impl Storage {
    /// The smallest way to store `content`, but [`Whole`](Self::Whole) where holes save little.
    pub(super) fn best(content: &Content) -> Self {
        let whole = Self::Whole.cost(content);
        if (Self::Chunked { bits: 0 }).blocks(content) * BLOCK == whole {
            return Self::Whole;
        }
        let ways = (0..=MAX_BITS).map(|bits| Self::Chunked { bits });
        let smallest = ways.min_by_key(|way| way.cost(content)).unwrap_or(Self::Whole);
        let saved = whole.saturating_sub(smallest.cost(content));
        if saved >= WORTH || saved * 2 >= whole { smallest } else { Self::Whole }
    }

    /// Blocks that the data takes.
    pub(super) fn blocks(self, content: &Content) -> u64 {
        self.runs(content).map(|run| run.end - run.start).sum()
    }

    /// Bytes that the chunk map takes.
    pub(super) fn map_bytes(self, content: &Content) -> u64 {
        match self {
            Self::Whole => 0,
            Self::Chunked { bits } => content.size.div_ceil(BLOCK << bits) * MAP_ENTRY,
        }
    }

    /// The chunk map if the first stored block is `first`.
    pub(super) fn map(self, content: &Content, mut first: u32) -> Vec<u32> {
        let Self::Chunked { bits } = self else { return Vec::new() };
        let mut map = vec![HOLE; (self.map_bytes(content) / MAP_ENTRY) as usize];
        for run in self.runs(content) {
            for chunk in (run.start >> bits)..run.end.div_ceil(1 << bits) {
                map[chunk as usize] = first + ((chunk << bits) - run.start) as u32;
            }
            first += (run.end - run.start) as u32;
        }
        map
    }

    /// What is stored, one run behind the other, in blocks of the file. In a chunked file each
    /// begins where a chunk does; only the file's end ends one elsewhere.
    pub(super) fn runs(self, content: &Content) -> impl Iterator<Item = Range<u64>> {
        let blocks = content.size.div_ceil(BLOCK);
        let (whole, extents, chunk) = match self {
            Self::Whole => (Some(0..blocks), &[][..], 1),
            Self::Chunked { bits } => (None, &*content.extents, 1 << bits),
        };
        let touched = extents.iter().filter(|extent| extent.length > 0).map(move |extent| {
            let (start, end) = (extent.offset, extent.offset + extent.length);
            let chunks = start / BLOCK / chunk..end.div_ceil(BLOCK).div_ceil(chunk);
            chunks.start * chunk..(chunks.end * chunk).min(blocks)
        });
        whole.into_iter().filter(|run| !run.is_empty()).chain(Merged(touched.peekable()))
    }

    fn cost(self, content: &Content) -> u64 {
        self.blocks(content) * BLOCK + self.map_bytes(content)
    }
}

/// Ascending ranges with those joined that touch or overlap.
struct Merged<I: Iterator>(Peekable<I>);

impl<I: Iterator<Item = Range<u64>>> Iterator for Merged<I> {
    type Item = Range<u64>;

    fn next(&mut self) -> Option<Range<u64>> {
        let mut joined = self.0.next()?;
        while let Some(next) = self.0.next_if(|next| next.start <= joined.end) {
            joined.end = joined.end.max(next.end);
        }
        Some(joined)
    }
}
