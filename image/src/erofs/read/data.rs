//! Where the bytes of an inode are, and reading them.

use super::{Error, Image, Inode, ReadAt};
use crate::erofs::format::{BLOCK, BLOCK_BITS, DataLayout, FileType, HOLE, MAP_ENTRY};
use std::ops::Range;
use zerocopy::little_endian::U32;

/// The bits of a chunk format that give the chunk's length as a power of two of blocks.
const CHUNK_BITS: u32 = 0x1f;

/// A run of an inode's bytes that are consecutive in the image too, or none at all.
struct Run {
    at: Place,
    length: u64,
}

enum Place {
    Image(u64),
    Hole,
}

impl<S: ReadAt> Image<S> {
    /// Fills `buffer` with the bytes from `offset` on of a file, directory or symlink; fewer where
    /// it ends. Returns how many.
    pub fn read_at(&self, inode: &Inode, offset: u64, buffer: &mut [u8]) -> Result<usize, Error> {
        let wanted = inode.size.saturating_sub(offset).min(buffer.len() as u64) as usize;
        let mut done = 0;
        while done < wanted {
            let run = self.run(inode, offset + done as u64)?;
            let take = run.length.min((wanted - done) as u64) as usize;
            let part = &mut buffer[done..done + take];
            match run.at {
                Place::Image(at) => self.bytes(at, part)?,
                Place::Hole => part.fill(0),
            }
            done += take;
        }
        Ok(done)
    }

    /// A symlink's target.
    pub fn target(&self, link: &Inode) -> Result<Vec<u8>, Error> {
        if link.file_type != FileType::Symlink {
            return Err(Error::Corrupt { nid: link.nid, what: "is not a symlink" });
        }
        let mut target = vec![0; link.size as usize];
        self.read_at(link, 0, &mut target)?;
        if target.contains(&0) {
            return Err(Error::Corrupt { nid: link.nid, what: "has a NUL in its target" });
        }
        Ok(target)
    }

    /// The blocks that an inode's data takes, as they stand in the image; none where it has none,
    /// or where they are not one behind the other. Reads the whole of a chunk map.
    ///
    /// # Errors
    /// When they are outside the image.
    pub fn blocks_of(&self, inode: &Inode) -> Result<Range<u64>, Error> {
        let blocks = match inode.layout {
            DataLayout::FlatPlain => flat_blocks(inode, inode.size.div_ceil(BLOCK)),
            DataLayout::FlatInline => flat_blocks(inode, inode.size.saturating_sub(1) / BLOCK),
            DataLayout::ChunkBased => self.chunk_blocks(inode)?,
        };
        match blocks.end.checked_mul(BLOCK) {
            _ if blocks.is_empty() => Ok(0..0),
            Some(end) if end <= self.length => Ok(blocks),
            _ => Err(Error::Outside { offset: blocks.start * BLOCK }),
        }
    }

    /// Fills `buffer` with what stands from block `first` on.
    pub fn read_blocks(&self, first: u64, buffer: &mut [u8]) -> Result<(), Error> {
        self.bytes(first.saturating_mul(BLOCK), buffer)
    }

    /// Bytes of what stands behind an inode and its xattrs.
    pub(super) fn behind(&self, inode: &Inode) -> Result<u64, Error> {
        match inode.layout {
            DataLayout::FlatInline if inode.size > 0 => Ok((inode.size - 1) % BLOCK + 1),
            DataLayout::FlatPlain | DataLayout::FlatInline => Ok(0),
            DataLayout::ChunkBased => Ok(inode.size.div_ceil(1 << chunk_bits(inode)?) * MAP_ENTRY),
        }
    }

    fn chunk_blocks(&self, inode: &Inode) -> Result<Range<u64>, Error> {
        let mut blocks = 0..0;
        let step = 1 << chunk_bits(inode)?;
        let mut offset = 0;
        while offset < inode.size {
            let run = self.chunked(inode, offset)?;
            match run.at {
                Place::Hole => {}
                Place::Image(at) if blocks.is_empty() => blocks = blocks_at(at, run.length),
                Place::Image(at) if blocks.end * BLOCK == at => {
                    blocks.end += run.length.div_ceil(BLOCK);
                }
                Place::Image(_) => return Ok(0..0),
            }
            offset += step;
        }
        Ok(blocks)
    }

    /// The run that `offset`, which is below the inode's size, stands in. Never empty.
    fn run(&self, inode: &Inode, offset: u64) -> Result<Run, Error> {
        match inode.layout {
            DataLayout::FlatPlain => Ok(flat(inode, offset, inode.size)),
            DataLayout::FlatInline => inline(inode, offset),
            DataLayout::ChunkBased => self.chunked(inode, offset),
        }
    }

    fn chunked(&self, inode: &Inode, offset: u64) -> Result<Run, Error> {
        let bits = chunk_bits(inode)?;
        let map = inode.body_at() + MAP_ENTRY * (offset >> bits);
        let within = offset & ((1 << bits) - 1);
        let length = ((1 << bits) - within).min(inode.size - offset);
        let at = match self.object::<U32>(map)?.get() {
            HOLE => Place::Hole,
            block => Place::Image(u64::from(block) * BLOCK + within),
        };
        Ok(Run { at, length })
    }
}

/// Binary logarithm of the bytes in a chunk.
fn chunk_bits(inode: &Inode) -> Result<u32, Error> {
    match inode.location & !CHUNK_BITS {
        0 => Ok(u32::from(BLOCK_BITS) + inode.location),
        _ => Err(Error::Corrupt { nid: inode.nid, what: "has an unknown chunk format" }),
    }
}

fn flat_blocks(inode: &Inode, count: u64) -> Range<u64> {
    let first = u64::from(inode.location);
    first..first + count
}

fn blocks_at(at: u64, length: u64) -> Range<u64> {
    at / BLOCK..at / BLOCK + length.div_ceil(BLOCK)
}

fn flat(inode: &Inode, offset: u64, end: u64) -> Run {
    let at = (u64::from(inode.location) * BLOCK).saturating_add(offset);
    Run { at: Place::Image(at), length: end - offset }
}

fn inline(inode: &Inode, offset: u64) -> Result<Run, Error> {
    let tail_from = (inode.size - 1) / BLOCK * BLOCK;
    if offset < tail_from {
        return Ok(flat(inode, offset, tail_from));
    }
    let tail = inode.size - tail_from;
    if inode.body_at() % BLOCK + tail > BLOCK {
        return Err(Error::Corrupt { nid: inode.nid, what: "has an inline tail across blocks" });
    }
    let at = inode.body_at() + (offset - tail_from);
    Ok(Run { at: Place::Image(at), length: inode.size - offset })
}
