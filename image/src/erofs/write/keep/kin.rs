//! What in a new image goes on from what in an old one.

use super::super::{Layout, Placed, fill};
use crate::erofs::format::{BLOCK, FileType, SLOT};
use crate::erofs::read::{self, Found, Image, Inode, ReadAt};
use crate::spool::Spool;
use crate::tree::Body;
use crate::{Error, Result, parallel};
use pintle_verify::Digest;
use sha2::{Digest as _, Sha256};
use std::collections::{HashMap, HashSet};

/// Blocks that are compared or hashed at a time.
const STEP: usize = 64;

/// What of the old image the new one may take over, by rank of the new inode. What is here was
/// compared and yet not trusted: places may overlap, or lie where they cannot be used.
pub(super) struct Kin {
    /// Where the inode stands that it goes on from.
    pub(super) records: Vec<Option<OldRecord>>,
    /// Where its data stands.
    pub(super) data: Vec<Option<OldData>>,
    /// Blocks of inodes, counted from the first, of which something goes away.
    pub(super) shaken: HashSet<u64>,
}

/// Where an inode stands in the old image.
#[derive(Clone, Copy)]
pub(super) struct OldRecord {
    pub(super) nid: u64,
    /// In bytes.
    pub(super) length: u64,
}

/// Where data stands in the old image.
#[derive(Clone, Copy)]
pub(super) struct OldData {
    pub(super) first_block: u64,
    pub(super) likeness: Likeness,
}

/// How alike what stands there is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Likeness {
    /// Every block is the same.
    Same,
    /// At least half of the blocks are the same.
    Much,
    /// It is a directory's or a symlink's.
    Metadata,
}

/// An inode of the old image.
struct Old {
    record: OldRecord,
    first_block: u64,
    blocks: u32,
    file_type: FileType,
    /// Rank of the new inode that has its path, or else its content.
    heir: Option<u32>,
    /// Blocks that the heir has at the same place of the file.
    equal: u32,
}

/// Blocks in a number that is known, and the digest of them: what files are found by that have
/// another name.
type Print = (u32, Digest);

impl Kin {
    /// Compares what `layout` holds with all of `old`.
    ///
    /// # Errors
    /// When `old` is no image, or the spool cannot be read.
    pub(super) fn find<S: ReadAt + Sync>(
        layout: &Layout<'_>,
        spool: &Spool,
        old: &Image<S>,
    ) -> Result<Self> {
        let mut olds = survey(layout, old).map_err(refuse)?;
        compare(&mut olds, layout, spool, old)?;
        let mut kin = Self::by_path(layout, &olds);
        kin.add_by_content((layout, spool), (&mut olds, old))?;
        kin.shaken = shaken(&olds);
        Ok(kin)
    }

    fn by_path(layout: &Layout<'_>, olds: &[Old]) -> Self {
        let count = layout.inodes.len();
        let mut kin =
            Self { records: vec![None; count], data: vec![None; count], shaken: HashSet::new() };
        for old in olds {
            if let Some(heir) = old.heir {
                kin.records[heir as usize] = Some(old.record);
                kin.data[heir as usize] = old.data_for(layout.ranked(heir));
            }
        }
        kin
    }

    /// Looks for the other files among what stands under other names, or under none any more.
    fn add_by_content<S: ReadAt + Sync>(
        &mut self,
        (layout, spool): (&Layout<'_>, &Spool),
        (olds, image): (&mut [Old], &Image<S>),
    ) -> Result<()> {
        let new = self.new_files(layout);
        let lengths: HashSet<u32> = new.iter().map(|rank| layout.ranked(*rank).blocks).collect();
        let mut known = prints_of_old(olds, &lengths, image)?;
        for (rank, print) in prints_of_new(layout, spool, &new)? {
            let Some(index) = known.get_mut(&print).and_then(Vec::pop) else { continue };
            let old = &mut olds[index];
            let first_block = old.first_block;
            self.data[rank as usize] = Some(OldData { first_block, likeness: Likeness::Same });
            if old.heir.is_none() && self.records[rank as usize].is_none() {
                old.heir = Some(rank);
                self.records[rank as usize] = Some(old.record);
            }
        }
        Ok(())
    }

    /// Files with data that does not stand in the old image under the same path.
    fn new_files(&self, layout: &Layout<'_>) -> Vec<u32> {
        let same = |rank: u32| {
            self.data[rank as usize].is_some_and(|data| data.likeness == Likeness::Same)
        };
        let files = layout.with_blocks().filter(|rank| is_file(layout, *rank));
        files.filter(|rank| !same(*rank)).collect()
    }
}

impl Old {
    /// What its heir may take over of its blocks.
    fn data_for(&self, heir: &Placed) -> Option<OldData> {
        let likeness = match self.file_type {
            FileType::File if self.is_same(heir) => Likeness::Same,
            FileType::File if self.equal >= heir.blocks.div_ceil(2) => Likeness::Much,
            FileType::Directory | FileType::Symlink => Likeness::Metadata,
            _ => return None,
        };
        (self.blocks > 0).then_some(OldData { first_block: self.first_block, likeness })
    }

    fn is_same(&self, heir: &Placed) -> bool {
        self.equal == self.blocks && self.equal == heir.blocks
    }
}

/// All inodes of the old image, in the order of their paths, with their heirs by path.
fn survey<S: ReadAt>(layout: &Layout<'_>, image: &Image<S>) -> Result<Vec<Old>, read::Error> {
    let (mut olds, mut known) = (Vec::new(), HashSet::new());
    let mut inherits = vec![false; layout.inodes.len()];
    let mut budget = Budget { records: image.length(), blocks: image.length() / BLOCK };
    for found in image.walk() {
        let Found { path, inode } = found?;
        if known.insert(inode.nid) {
            let heir =
                heir(layout, &path, inode.file_type).filter(|rank| !inherits[*rank as usize]);
            heir.iter().for_each(|rank| inherits[*rank as usize] = true);
            olds.push(old_of(image, &inode, (heir, &mut budget))?);
        }
    }
    Ok(olds)
}

/// Room that all inodes together may say they take. Without it a small image could name the same
/// blocks, or the same chunk map, thousands of times, and all would be read.
struct Budget {
    records: u64,
    blocks: u64,
}

fn old_of<S: ReadAt>(
    image: &Image<S>,
    inode: &Inode,
    (heir, budget): (Option<u32>, &mut Budget),
) -> Result<Old, read::Error> {
    let corrupt = |what| read::Error::Corrupt { nid: inode.nid, what };
    let length = image.record_length(inode)?;
    let shared_records = || corrupt("shares its bytes with others");
    budget.records = budget.records.checked_sub(length).ok_or_else(shared_records)?;
    let blocks = match inode.file_type {
        FileType::File | FileType::Directory | FileType::Symlink => image.blocks_of(inode)?,
        _ => 0..0,
    };
    let count = blocks.end - blocks.start;
    let shared_blocks = || corrupt("shares its blocks with others");
    budget.blocks = budget.blocks.checked_sub(count).ok_or_else(shared_blocks)?;
    Ok(Old {
        record: OldRecord { nid: inode.nid.0, length },
        first_block: blocks.start,
        // An image has at most 2^32 - 1.
        blocks: count as u32,
        file_type: inode.file_type,
        heir,
        equal: 0,
    })
}

/// The new inode at `path`, if it is of the same type.
fn heir(layout: &Layout<'_>, path: &[u8], file_type: FileType) -> Option<u32> {
    let id = layout.tree.lookup(path)?;
    (fill::file_type(&layout.tree.inode(id).body) == file_type).then(|| layout.ranks[id.index()])
}

fn compare<S: ReadAt + Sync>(
    olds: &mut [Old],
    layout: &Layout<'_>,
    spool: &Spool,
    image: &Image<S>,
) -> Result<()> {
    let files = olds.iter_mut().filter(|old| old.file_type == FileType::File && old.blocks > 0);
    let pairs = files.filter_map(|old| old.heir.map(|heir| (old, layout.ranked(heir))));
    parallel::for_each(pairs, <(Vec<u8>, Vec<u8>)>::default, |(ours, theirs), (old, heir)| {
        for (at, length) in steps(old.blocks.min(heir.blocks)) {
            ours.resize(length, 0);
            theirs.resize(length, 0);
            layout.stored(heir, spool, (at, ours))?;
            image.read_blocks(old.first_block + at, theirs).map_err(refuse)?;
            old.equal += equal_blocks(ours, theirs);
        }
        Ok(())
    })
}

fn equal_blocks(ours: &[u8], theirs: &[u8]) -> u32 {
    let pairs = ours.chunks(BLOCK as usize).zip(theirs.chunks(BLOCK as usize));
    pairs.filter(|(ours, theirs)| ours == theirs).count() as u32
}

fn prints_of_new(layout: &Layout<'_>, spool: &Spool, files: &[u32]) -> Result<Vec<(u32, Print)>> {
    let mut prints: Vec<_> = files.iter().map(|rank| (*rank, (0, Digest::of(b"")))).collect();
    parallel::for_each(prints.iter_mut(), Vec::new, |buffer, (rank, print)| {
        let inode = layout.ranked(*rank);
        *print =
            print_of(inode.blocks, buffer, |at, part| layout.stored(inode, spool, (at, part)))?;
        Ok(())
    })?;
    Ok(prints)
}

/// Places of the files that have one of these lengths in blocks, the first to be taken last.
fn prints_of_old<S: ReadAt + Sync>(
    olds: &[Old],
    lengths: &HashSet<u32>,
    image: &Image<S>,
) -> Result<HashMap<Print, Vec<usize>>> {
    let files = olds.iter().enumerate().filter(|(_, old)| old.file_type == FileType::File);
    let wanted = files.filter(|(_, old)| lengths.contains(&old.blocks) && !old.is_kept());
    let mut prints: Vec<_> = wanted.map(|(index, _)| (index, (0, Digest::of(b"")))).collect();
    parallel::for_each(prints.iter_mut(), Vec::new, |buffer, (index, print)| {
        let old = &olds[*index];
        let read =
            |at, part: &mut [u8]| image.read_blocks(old.first_block + at, part).map_err(refuse);
        *print = print_of(old.blocks, buffer, read)?;
        Ok(())
    })?;
    let mut known = HashMap::<_, Vec<_>>::new();
    prints.into_iter().rev().for_each(|(index, print)| known.entry(print).or_default().push(index));
    Ok(known)
}

impl Old {
    /// Whether its heir is the same file, so that its place is given away.
    fn is_kept(&self) -> bool {
        self.heir.is_some() && self.equal == self.blocks
    }
}

fn print_of(
    blocks: u32,
    buffer: &mut Vec<u8>,
    read: impl Fn(u64, &mut [u8]) -> Result<()>,
) -> Result<Print> {
    let mut hasher = Sha256::new();
    for (at, length) in steps(blocks) {
        buffer.resize(length, 0);
        read(at, buffer)?;
        hasher.update(&*buffer);
    }
    Ok((blocks, Digest::from_bytes(hasher.finalize().into())))
}

/// `blocks` in steps: the first block of each, and its length in bytes.
fn steps(blocks: u32) -> impl Iterator<Item = (u64, usize)> {
    let blocks = u64::from(blocks);
    (0..blocks)
        .step_by(STEP)
        .map(move |at| (at, (blocks - at).min(STEP as u64) as usize))
        .map(|(at, count)| (at, count * BLOCK as usize))
}

/// The blocks of inodes without an heir.
fn shaken(olds: &[Old]) -> HashSet<u64> {
    let gone = olds.iter().filter(|old| old.heir.is_none());
    gone.map(|old| old.record.nid / (BLOCK / SLOT)).collect()
}

fn is_file(layout: &Layout<'_>, rank: u32) -> bool {
    matches!(layout.tree.inode(layout.ranked(rank).id).body, Body::File(_))
}

fn refuse(cause: read::Error) -> Error {
    Error::input("keep the layout of the older image", cause)
}
