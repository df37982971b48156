//! Which blocks of a new image are on the machine already, at any position of any image.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use pintle_verify::Digest;
use pintle_verify::verity::{BLOCK, Geometry, Leaf};

use crate::block_file::{self, Block, offset};

/// An image that is here. It needs no trust: what is copied out of it is hashed on the way.
#[derive(Debug)]
pub struct Source {
    /// Its `root.img`.
    pub image: File,
    /// Its `root.tree`.
    pub tree: File,
    /// The root hash of its tree, as its seal says.
    pub root_hash: Digest,
}

impl Source {
    /// The geometry of its tree, if its files have the sizes of an image and its tree. A source that has none is
    /// of no use, and no reason to stop.
    pub(crate) fn geometry(&self) -> Option<Geometry> {
        let size = |file: &File| block_file::length(file).ok();
        let geometry = Geometry::of_image(size(&self.image)?).ok()?;
        (size(&self.tree)? >= geometry.tree_size()).then_some(geometry)
    }
}

/// Where a hash was seen: 16 bytes, so that three images of 1 GiB cost 12 MiB.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Seen {
    /// The first eight bytes of the hash: a guess, which the whole hash of the bytes confirms.
    prefix: u64,
    source: u32,
    block: u32,
}

/// A block of a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    /// The source's number.
    pub(crate) source: usize,
    /// The block's number in its file.
    pub(crate) block: u64,
}

/// Hashes, and where each was seen.
#[derive(Default)]
pub(crate) struct Seens(Vec<Seen>);

impl Seens {
    /// Notes that a block of a source has this hash. Numbers of blocks have 28 bits.
    pub(crate) fn note(&mut self, hash: &Leaf, place: Place) {
        let Place { source, block } = place;
        self.0.push(Seen { prefix: prefix(hash), source: source as u32, block: block as u32 });
    }

    /// Notes the hashes in a block of a tree, `first` being the number of the block that its first hash is of.
    fn note_all(&mut self, hashes: &[Leaf], first: Place) {
        for (hash, block) in hashes.iter().zip(first.block..) {
            self.note(hash, Place { block, ..first });
        }
    }

    /// Makes what was noted ready to be searched.
    pub(crate) fn sorted(mut self) -> Self {
        self.0.sort_unstable();
        self
    }

    /// Where a block with this hash may be.
    pub(crate) fn find(&self, hash: &Leaf) -> impl Iterator<Item = Place> {
        let prefix = prefix(hash);
        let from = self.0.partition_point(|seen| seen.prefix < prefix);
        let seens = self.0.get(from..).unwrap_or_default().iter();
        let same = seens.take_while(move |seen| seen.prefix == prefix);
        same.map(|seen| Place { source: seen.source as usize, block: seen.block.into() })
    }

    /// Whether there may be one.
    pub(crate) fn has(&self, hash: &Leaf) -> bool {
        self.find(hash).next().is_some()
    }

    /// Whether nothing was noted.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The leaves of all sources: which blocks of an image are here.
pub(crate) fn blocks_of(sources: &[Source]) -> Seens {
    let geometries: Vec<_> = sources.iter().map(Source::geometry).collect();
    let leaves: u64 = geometries.iter().flatten().map(Geometry::data_blocks).sum();
    let mut seens = Seens(Vec::with_capacity(leaves as usize));
    for (number, (source, geometry)) in sources.iter().zip(&geometries).enumerate() {
        let Some(lowest) = geometry.as_ref().and_then(lowest_level) else { continue };
        let first = Place { source: number, block: 0 };
        note_level(&mut seens, source, &lowest, first);
    }
    seens.sorted()
}

/// The hashes in all levels but the lowest: which blocks of a tree are here.
pub(crate) fn tree_blocks_of(sources: &[Source]) -> Seens {
    let mut seens = Seens::default();
    for (number, source) in sources.iter().enumerate() {
        note_tree(&mut seens, source, number);
    }
    seens.sorted()
}

/// Blocks of a tree file, and how many hashes they hold.
struct Level {
    first: u64,
    hashes: u64,
}

fn lowest_level(geometry: &Geometry) -> Option<Level> {
    levels(geometry).pop()
}

/// The levels in the order of the file, the highest first.
fn levels(geometry: &Geometry) -> Vec<Level> {
    let mut first = 1;
    let sizes = geometry.levels();
    let below = |level: usize| level.checked_sub(1).and_then(|below| sizes.get(below)).copied();
    let levels = sizes.iter().enumerate().rev().map(|(level, blocks)| {
        let hashes = below(level).unwrap_or(geometry.data_blocks());
        let this = Level { first, hashes };
        first += blocks;
        this
    });
    levels.collect()
}

fn note_tree(seens: &mut Seens, source: &Source, number: usize) {
    let Some(geometry) = source.geometry() else { return };
    let levels = levels(&geometry);
    if !levels.is_empty() {
        seens.note(source.root_hash.as_bytes(), Place { source: number, block: 1 });
    }
    for pair in levels.windows(2) {
        let [level, below] = pair else { continue };
        note_level(seens, source, level, Place { source: number, block: below.first });
    }
}

/// Notes the hashes in a level, `first` being the block that its first hash is of; what a failing disk does not give
/// is not here.
fn note_level(seens: &mut Seens, source: &Source, level: &Level, first: Place) {
    let per_block = (BLOCK / size_of::<Leaf>()) as u64;
    for number in 0..level.hashes.div_ceil(per_block) {
        let Ok(Some(block)) = block_file::read(&source.tree, level.first + number) else {
            continue;
        };
        let before = number * per_block;
        let (hashes, _) = block.as_chunks();
        let count = (level.hashes - before).min(per_block) as usize;
        let first = Place { block: first.block + before, ..first };
        seens.note_all(hashes.get(..count).unwrap_or_default(), first);
    }
}

fn prefix(hash: &Leaf) -> u64 {
    hash.first_chunk().copied().map_or(0, u64::from_be_bytes)
}

/// Reads blocks of images, and ahead where blocks are read in order.
pub(crate) struct Reader {
    /// What the buffer holds: the file's number and the number of its first block.
    first: Option<Place>,
    buffer: Vec<u8>,
}

/// Read at once where blocks are read in order.
const READ_AHEAD: u64 = 64;

impl Reader {
    pub(crate) fn new() -> Self {
        Self { first: None, buffer: Vec::new() }
    }

    /// Reads a block of `file`, which is the one of the place; `None` where there is none to be read.
    ///
    /// A source with a failing disk is as good as one that lacks the block.
    pub(crate) fn read(&mut self, file: &File, place: Place) -> Option<&Block> {
        if self.at(place).is_none() {
            self.fill(file, place);
        }
        self.at(place)
    }

    fn at(&self, place: Place) -> Option<&Block> {
        let first = self.first.filter(|first| first.source == place.source)?;
        let number = place.block.checked_sub(first.block)?;
        self.buffer.as_chunks().0.get(number as usize)
    }

    fn fill(&mut self, file: &File, place: Place) {
        let count = if self.is_next(place) { READ_AHEAD } else { 1 };
        self.buffer.resize(offset(count) as usize, 0);
        let read = read_up_to(file, &mut self.buffer, offset(place.block));
        self.buffer.truncate(read);
        self.first = Some(place);
    }

    fn is_next(&self, place: Place) -> bool {
        let blocks = (self.buffer.len() / BLOCK) as u64;
        self.first.is_some_and(|first| Place { block: first.block + blocks, ..first } == place)
    }
}

/// Reads what there is before the end of the file or an error, and says how much.
pub(crate) fn read_up_to(file: &File, buffer: &mut [u8], at: u64) -> usize {
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at + length as u64) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    length
}
