use std::ops::{Range, RangeInclusive};

use super::{MAX_BLOCKS, MAX_FRAME};
use crate::Error;
use crate::block_file::offset;

/// Where the frames of an image are in its blob, and which blocks are in them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SeekTable {
    /// The end of each frame, in order.
    ends: Vec<End>,
}

/// What there is up to the end of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct End {
    bytes: u64,
    blocks: u64,
}

/// One frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Its bytes in the blob.
    pub bytes: Range<u64>,
    /// Its blocks of the image, 1 to 256.
    pub blocks: Range<u64>,
}

impl SeekTable {
    /// Reads the table that stands behind `frames` bytes of frames of an image of `blocks` blocks.
    ///
    /// A table is one only if its frames fill both exactly and each is within the limits.
    pub fn parse(bytes: &[u8], blocks: u64, frames: u64) -> Result<Self, Error> {
        if !Self::sizes(blocks).contains(&(bytes.len() as u64)) {
            return Err(Error::Frames("its seek table has an impossible size"));
        }
        let table = Self { ends: entries(bytes)?.iter().scan(End::default(), add).collect() };
        if !(0..table.len()).all(|number| table.frame(number).is_some_and(|f| f.is_within_limits()))
        {
            return Err(Error::Frames("a frame is empty or too large"));
        }
        if table.ends.last() != Some(&End { bytes: frames, blocks }) {
            return Err(Error::Frames("its frames are not those of the whole image"));
        }
        Ok(table)
    }

    /// How many bytes a table of an image of so many blocks can have.
    pub fn sizes(blocks: u64) -> RangeInclusive<u64> {
        let size = |frames: u64| (HEADER + FOOTER) as u64 + frames * ENTRY as u64;
        size(blocks.div_ceil(MAX_BLOCKS))..=size(blocks)
    }

    /// Writes the table, a skippable frame.
    pub fn to_bytes(&self) -> Vec<u8> {
        let content = self.ends.len() * ENTRY + FOOTER;
        let mut bytes = [SKIPPABLE.to_le_bytes(), (content as u32).to_le_bytes()].concat();
        for frame in self.frames() {
            let blocks = offset(frame.blocks.end - frame.blocks.start);
            bytes.extend(((frame.bytes.end - frame.bytes.start) as u32).to_le_bytes());
            bytes.extend((blocks as u32).to_le_bytes());
        }
        bytes.extend((self.ends.len() as u32).to_le_bytes());
        bytes.push(NO_CHECKSUMS);
        bytes.extend(SEEKABLE.to_le_bytes());
        bytes
    }

    /// A table of frames, given as bytes and blocks of each.
    #[cfg(any(feature = "make", test))]
    pub(crate) fn of_frames(frames: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut end = End::default();
        let ends = frames.into_iter().map(|(bytes, blocks)| {
            end = End { bytes: end.bytes + bytes, blocks: end.blocks + blocks };
            end
        });
        Self { ends: ends.collect() }
    }

    /// How many frames there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none, which no image has.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all frames: where the table begins.
    pub fn frames_size(&self) -> u64 {
        self.ends.last().map_or(0, |end| end.bytes)
    }

    /// The frame with this number.
    pub fn frame(&self, number: usize) -> Option<Frame> {
        let end = self.ends.get(number)?;
        let before = number.checked_sub(1).and_then(|before| self.ends.get(before));
        let start = before.copied().unwrap_or_default();
        Some(Frame { bytes: start.bytes..end.bytes, blocks: start.blocks..end.blocks })
    }

    /// All frames, in order.
    pub fn frames(&self) -> impl Iterator<Item = Frame> {
        (0..self.len()).filter_map(|number| self.frame(number))
    }

    /// The number of the frame that holds a block of the image.
    pub fn frame_of(&self, block: u64) -> usize {
        self.ends.partition_point(|end| end.blocks <= block)
    }
}

impl Frame {
    fn is_within_limits(&self) -> bool {
        (1..=MAX_BLOCKS).contains(&(self.blocks.end - self.blocks.start))
            && (1..=MAX_FRAME as u64).contains(&(self.bytes.end - self.bytes.start))
    }
}

const SKIPPABLE: u32 = 0x184d_2a5e;
const SEEKABLE: u32 = 0x8f92_eab1;
const NO_CHECKSUMS: u8 = 0;
const HEADER: usize = 8;
const ENTRY: usize = 8;
const FOOTER: usize = 9;

fn entries(bytes: &[u8]) -> Result<&[[u8; ENTRY]], Error> {
    let framed = bytes.split_first_chunk::<HEADER>().and_then(|(header, rest)| {
        let (entries, footer) = rest.split_last_chunk::<FOOTER>()?;
        Some((header, entries.as_chunks::<ENTRY>(), footer))
    });
    let Some((header, (entries, []), footer)) = framed else {
        return Err(Error::Frames("its seek table has an impossible size"));
    };
    let content = (bytes.len() - HEADER) as u32;
    let expected_header = [SKIPPABLE.to_le_bytes(), content.to_le_bytes()].concat();
    let count = (entries.len() as u32).to_le_bytes();
    let expected_footer = [&count, [NO_CHECKSUMS].as_slice(), &SEEKABLE.to_le_bytes()].concat();
    if *header != *expected_header || *footer != *expected_footer {
        return Err(Error::Frames("its seek table is none"));
    }
    Ok(entries)
}

/// Blocks that are not whole count as none, and so are beyond the limits. Sums of 2^28 numbers of 32
/// bits do not overflow.
fn add(end: &mut End, entry: &[u8; ENTRY]) -> Option<End> {
    let ([bytes, content], _) = entry.as_chunks::<4>() else { return None };
    let content = u64::from(u32::from_le_bytes(*content));
    let blocks = if content.is_multiple_of(offset(1)) { content / offset(1) } else { 0 };
    *end = End {
        bytes: end.bytes + u64::from(u32::from_le_bytes(*bytes)),
        blocks: end.blocks + blocks,
    };
    Some(*end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAMES: [(u64, u64); 3] = [(1000, 256), (MAX_FRAME as u64, 48), (9, 1)];
    const SIZE: u64 = 1009 + MAX_FRAME as u64;

    fn table() -> SeekTable {
        SeekTable::of_frames(FRAMES)
    }

    fn parse(bytes: &[u8]) -> Result<SeekTable, String> {
        SeekTable::parse(bytes, 305, SIZE).map_err(|cause| cause.to_string())
    }

    #[test]
    fn table_and_back() {
        assert_eq!(parse(&table().to_bytes()), Ok(table()));
        assert_eq!(table().frames_size(), SIZE);
        assert_eq!(table().frame(1).unwrap().blocks, 256..304);
        assert_eq!(table().frame(3), None);
        for (block, frame) in [(0, 0), (255, 0), (256, 1), (303, 1), (304, 2), (305, 3)] {
            assert_eq!(table().frame_of(block), frame);
        }
    }

    #[test]
    fn tables_that_lie_are_refused() {
        let good = table().to_bytes();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(parse(&bad).is_err(), "byte {at}");
        }
        for bad in [&good[..good.len() - 1], &good[1..], &[], &[good.as_slice(), &[0]].concat()] {
            assert!(parse(bad).is_err());
        }
    }

    #[test]
    fn limits_are_kept() {
        for (frames, expected) in [
            (vec![(SIZE, 305)], "impossible size"),
            (vec![(1, 257), (SIZE - 1, 48)], "too large"),
            (vec![(MAX_FRAME as u64 + 1, 256), (1008, 49)], "too large"),
            (vec![(0, 256), (SIZE, 49)], "empty"),
            (vec![(1009, 0), (MAX_FRAME as u64, 49), (1, 256)], "empty"),
            (vec![(1009, 256), (MAX_FRAME as u64, 48)], "whole image"),
            (vec![(1009, 256), (MAX_FRAME as u64, 50)], "whole image"),
            (vec![(1008, 256), (MAX_FRAME as u64, 49)], "whole image"),
            (vec![(1, 1); 306], "impossible size"),
        ] {
            let error = parse(&SeekTable::of_frames(frames).to_bytes()).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
