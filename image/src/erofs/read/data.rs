//! Where the bytes of an inode are, and reading them.

use super::{Error, Image, Inode, ReadAt};
use crate::erofs::format::{BLOCK, BLOCK_BITS, DataLayout, FileType, HOLE, MAP_ENTRY};
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

    /// The run that `offset`, which is below the inode's size, stands in. Never empty.
    fn run(&self, inode: &Inode, offset: u64) -> Result<Run, Error> {
        match inode.layout {
            DataLayout::FlatPlain => Ok(flat(inode, offset, inode.size)),
            DataLayout::FlatInline => inline(inode, offset),
            DataLayout::ChunkBased => self.chunked(inode, offset),
        }
    }

    fn chunked(&self, inode: &Inode, offset: u64) -> Result<Run, Error> {
        if inode.location & !CHUNK_BITS != 0 {
            return Err(Error::Corrupt { nid: inode.nid, what: "has an unknown chunk format" });
        }
        let bits = u32::from(BLOCK_BITS) + inode.location;
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
