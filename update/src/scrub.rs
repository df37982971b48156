//! Reading an installed image again, past the page cache, to find blocks that went bad before somebody needs them.

use pintle_verify::verity::{BLOCK, Geometry, Leaf, LeafHasher, TreeFile};
use pintle_verify::{Seal, Verified};
use rustix::fs::{Advice, fadvise};

use crate::files::{read_at, read_whole};
use crate::hands::failed;
use crate::{EntryFiles, Error, Piece, Place};

/// Read at a time: little enough that nobody waits for the disk because of it.
const CHUNK: usize = 64 * BLOCK;

/// An image that is being read again.
#[derive(Debug)]
pub struct Scrub {
    files: EntryFiles,
    seal: Verified<Seal>,
    leaves: Vec<Leaf>,
    /// The first block that was not read yet.
    next: usize,
    damaged: Vec<u64>,
}

/// How far it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scrubbed {
    /// There is more to read.
    InPart,
    /// All was read; these blocks are not what was signed.
    Whole(Vec<u64>),
}

/// A disk that is bad altogether is told by its first blocks.
const DAMAGED_MAX: usize = 1000;

impl Scrub {
    /// Begins with an entry's files. A tree that is not the seal's is an error: it is damaged itself.
    pub fn begin(files: EntryFiles, seal: Verified<Seal>) -> Result<Self, Error> {
        let size = Geometry::of_image(seal.image_size)?.tree_size();
        forget(&files.tree, Piece::Tree)?;
        let tree = read_whole(&files.tree, size, &Place::root().piece(Piece::Tree))?;
        let leaves = TreeFile::open(&tree, &seal)?.leaves().to_vec();
        forget(&files.image, Piece::Image)?;
        Ok(Self { files, seal, leaves, next: 0, damaged: Vec::new() })
    }

    /// Reads the next 256 KiB.
    pub fn step(&mut self) -> Result<Scrubbed, Error> {
        let expected = self.leaves.get(self.next..).unwrap_or_default();
        let expected = expected.get(..CHUNK / BLOCK).unwrap_or(expected);
        if expected.is_empty() || self.damaged.len() >= DAMAGED_MAX {
            return Ok(Scrubbed::Whole(std::mem::take(&mut self.damaged)));
        }
        let mut buffer = vec![0; expected.len() * BLOCK];
        // What cannot be read is damaged too.
        let read = read_at(&self.files.image, &mut buffer, (self.next * BLOCK) as u64);
        let blocks = read.unwrap_or_default().as_chunks().0;
        let hasher = LeafHasher::new(&self.seal.salt);
        for (index, leaf) in expected.iter().enumerate() {
            if blocks.get(index).is_none_or(|block| hasher.leaf(block) != *leaf) {
                self.damaged.push((self.next + index) as u64);
            }
        }
        self.next += expected.len();
        Ok(Scrubbed::InPart)
    }
}

fn forget(file: &rustix::fd::OwnedFd, piece: Piece) -> Result<(), Error> {
    fadvise(file, 0, None, Advice::DontNeed)
        .map_err(|cause| failed("drop from the page cache", &Place::root().piece(piece), cause))
}
