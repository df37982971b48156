//! How the hash tree comes to a machine: from the top, and only what is not here.

use std::fs::File;
use std::ops::Range;

use pintle_verify::verity::{BLOCK, Geometry, Leaf, LeafHasher, Superblock};
use pintle_verify::{Seal, Uuid, Verified};

use crate::block_file::{self, Block, offset};
use crate::local::{Reader, Seens, Source, tree_blocks_of};
use crate::receive::{Feed, Stream};
use crate::{Blob, Error};

/// Hashes in a block of the tree.
const FAN_OUT: usize = BLOCK / size_of::<Leaf>();

type Hashes = [Leaf; FAN_OUT];

/// Two blocks with one hash are one block; two sources have it at worst on two failing disks.
pub(crate) const MAX_CANDIDATES: usize = 4;

/// The leaves of the whole image, which lead up to the seal's root hash.
pub(crate) struct Leaves {
    level: Vec<Hashes>,
    count: usize,
}

impl Leaves {
    /// One for each block of the image.
    pub(crate) fn as_slice(&self) -> &[Leaf] {
        self.level.as_flattened().get(..self.count).unwrap_or_default()
    }
}

/// What a tree is made from, and where to.
pub(crate) struct TreeReceiver<'a> {
    pub(crate) seal: &'a Verified<Seal>,
    pub(crate) blob: &'a Blob,
    pub(crate) sources: &'a [Source],
    /// `root.tree`, which may hold what an earlier attempt left.
    pub(crate) file: &'a File,
}

impl TreeReceiver<'_> {
    /// Makes the file whole and gives its leaves. What is here is copied, the rest fetched: a round a level, or all in one
    /// request where nothing is here.
    pub(crate) fn receive(&self, feed: &mut Feed<'_>) -> Result<Leaves, Error> {
        let geometry = Geometry::of_image(self.seal.image_size)?;
        let known = tree_blocks_of(self.sources);
        let has_begun = has_begun(self.file)?;
        self.begin(&geometry)?;
        let walk = Walk { file: self.file, hasher: LeafHasher::new(&self.seal.salt) };
        let top = vec![root_level(self.seal)];
        let level = if known.is_empty() && !has_begun {
            self.receive_whole(&walk, &geometry, top, feed)
        } else {
            self.receive_by_levels(&walk, (&geometry, &known), top, feed)
        };
        Ok(Leaves { level: level?, count: geometry.data_blocks() as usize })
    }

    /// The superblock follows from the seal.
    fn begin(&self, geometry: &Geometry) -> Result<(), Error> {
        let superblock = Superblock {
            uuid: Uuid::of_image_id(&self.seal.image_id),
            data_blocks: geometry.data_blocks(),
            salt: self.seal.salt,
        };
        let made = self.file.set_len(geometry.tree_size());
        made.and_then(|()| block_file::write(self.file, 0, &superblock.encode()))
            .map_err(Error::file("write", "root.tree"))
    }

    fn receive_whole(
        &self,
        walk: &Walk<'_>,
        geometry: &Geometry,
        mut trusted: Vec<Hashes>,
        feed: &mut Feed<'_>,
    ) -> Result<Vec<Hashes>, Error> {
        if geometry.levels().is_empty() {
            return Ok(trusted);
        }
        let mut stream = feed.open("hash tree", self.blob, offset(1)..geometry.tree_size())?;
        for blocks in ranges(geometry) {
            let mut level = Level::new(blocks, &trusted);
            level.read(0..level.len(), walk, &mut stream)?;
            trusted = level.hashes;
        }
        Ok(trusted)
    }

    fn receive_by_levels(
        &self,
        walk: &Walk<'_>,
        (geometry, known): (&Geometry, &Seens),
        mut trusted: Vec<Hashes>,
        feed: &mut Feed<'_>,
    ) -> Result<Vec<Hashes>, Error> {
        for blocks in ranges(geometry) {
            let mut level = Level::new(blocks, &trusted);
            for run in level.take_what_is_here(walk, known, self.sources)? {
                let mut stream = feed.open("hash tree", self.blob, level.bytes(&run))?;
                level.read(run, walk, &mut stream)?;
            }
            trusted = level.hashes;
        }
        Ok(trusted)
    }
}

/// Whether an attempt was here before: it writes the superblock first. The length says nothing, for the space may have been
/// taken before.
pub(crate) fn has_begun(file: &File) -> Result<bool, Error> {
    let superblock = block_file::read(file, 0).map_err(Error::file("read", "root.tree"))?;
    Ok(superblock.is_some_and(|block| block != [0; BLOCK]))
}

/// A level above the highest, with the root hash alone in it. It is the level of leaves of an image of one block.
fn root_level(seal: &Seal) -> Hashes {
    let mut hashes = [[0; 32]; FAN_OUT];
    hashes[0] = *seal.root_hash.as_bytes();
    hashes
}

/// The blocks of each level in the tree file, the highest first.
fn ranges(geometry: &Geometry) -> impl Iterator<Item = Range<u64>> {
    geometry.levels().iter().rev().scan(1, |first, blocks| {
        let level = *first..*first + blocks;
        *first = level.end;
        Some(level)
    })
}

struct Walk<'a> {
    file: &'a File,
    hasher: LeafHasher,
}

impl Walk<'_> {
    fn write(&self, number: u64, block: &Block) -> Result<(), Error> {
        block_file::write(self.file, number, block).map_err(Error::file("write", "root.tree"))
    }
}

/// A level of the tree that is being filled: every block in it has the hash that the level above names.
struct Level<'t> {
    /// Its blocks in the tree file.
    blocks: Range<u64>,
    trusted: &'t [Leaf],
    hashes: Vec<Hashes>,
}

impl<'t> Level<'t> {
    fn new(blocks: Range<u64>, trusted: &'t [Hashes]) -> Self {
        let count = (blocks.end - blocks.start) as usize;
        let hashes = vec![[[0; 32]; FAN_OUT]; count];
        Self { blocks, trusted: trusted.as_flattened(), hashes }
    }

    fn len(&self) -> usize {
        self.hashes.len()
    }

    fn bytes(&self, run: &Range<usize>) -> Range<u64> {
        let at = |index: usize| offset(self.blocks.start + index as u64);
        at(run.start)..at(run.end)
    }

    /// Takes the blocks that are in the file already or in a source's tree; gives the runs of the others.
    fn take_what_is_here(
        &mut self,
        walk: &Walk<'_>,
        known: &Seens,
        sources: &[Source],
    ) -> Result<Vec<Range<usize>>, Error> {
        let mut reader = Reader::new();
        let mut missing = Vec::new();
        for index in 0..self.len() {
            if !self.is_in_file(index, walk)?
                && !self.copy(index, walk, (known, sources, &mut reader))?
            {
                missing.push(index);
            }
        }
        Ok(runs(&missing))
    }

    fn is_in_file(&mut self, index: usize, walk: &Walk<'_>) -> Result<bool, Error> {
        let block = block_file::read(walk.file, self.number(index));
        match block.map_err(Error::file("read", "root.tree"))? {
            Some(block) => Ok(self.accept(index, &block, walk)),
            None => Ok(false),
        }
    }

    fn copy(
        &mut self,
        index: usize,
        walk: &Walk<'_>,
        (known, sources, reader): (&Seens, &[Source], &mut Reader),
    ) -> Result<bool, Error> {
        let Some(hash) = self.trusted.get(index) else { return Ok(false) };
        for place in known.find(hash).take(MAX_CANDIDATES) {
            let Some(source) = sources.get(place.source) else { continue };
            let Some(block) = reader.read(&source.tree, place) else { continue };
            if self.accept(index, block, walk) {
                walk.write(self.number(index), block)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads a run of blocks out of the blob.
    fn read(
        &mut self,
        run: Range<usize>,
        walk: &Walk<'_>,
        stream: &mut Stream<'_>,
    ) -> Result<(), Error> {
        let mut block = [0; BLOCK];
        for index in run {
            stream.fill(&mut block)?;
            if !self.accept(index, &block, walk) {
                return Err(Error::Damaged {
                    object: "hash tree",
                    offset: offset(self.number(index)),
                });
            }
            walk.write(self.number(index), &block)?;
        }
        Ok(())
    }

    /// Keeps the hashes of a block if it is the one that the level above names.
    fn accept(&mut self, index: usize, block: &Block, walk: &Walk<'_>) -> bool {
        let is_right = self.trusted.get(index) == Some(&walk.hasher.leaf(block));
        if is_right && let Some(hashes) = self.hashes.get_mut(index) {
            hashes.as_flattened_mut().copy_from_slice(block);
        }
        is_right
    }

    fn number(&self, index: usize) -> u64 {
        self.blocks.start + index as u64
    }
}

/// Numbers in order, as runs of neighbours. A gap of one block costs more than another request.
fn runs(numbers: &[usize]) -> Vec<Range<usize>> {
    let runs = numbers.chunk_by(|a, b| a + 1 == *b);
    runs.filter_map(|run| Some(*run.first()?..*run.last()? + 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_run() {
        assert_eq!(runs(&[]), []);
        assert_eq!(runs(&[3]), [3..4]);
        assert_eq!(runs(&[0, 1, 2, 5, 7, 8]), [0..3, 5..6, 7..9]);
    }
}
