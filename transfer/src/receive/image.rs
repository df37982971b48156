use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use pintle_verify::Salt;
use pintle_verify::verity::{BLOCK, Leaf, LeafHasher};
use rustix::fs::SeekFrom;
use rustix::io::Errno;

use crate::Error;
use crate::block_file::{self, Block, offset};
use crate::local::{Place, Reader, Seens};
use crate::tree::{Leaves, MAX_CANDIDATES};

/// An image that is becoming the seal's: which of its blocks are right.
pub(super) struct Image<'a> {
    file: &'a File,
    leaves: &'a [Leaf],
    hasher: LeafHasher,
    /// The leaf of a block of zeros, which needs no source.
    zeros: Leaf,
    done: Vec<bool>,
}

/// Read and hashed at once.
const CHUNK: u64 = 64;

impl<'a> Image<'a> {
    /// Gives the file its size and hashes what is in it. Holes are zeros, and are not read.
    pub(super) fn resume(file: &'a File, leaves: &'a Leaves, salt: &Salt) -> Result<Self, Error> {
        let leaves = leaves.as_slice();
        let size = offset(leaves.len() as u64);
        file.set_len(size).map_err(Error::file("resize", OBJECT))?;
        let hasher = LeafHasher::new(salt);
        let zeros = hasher.leaf(&[0; BLOCK]);
        let done = leaves.iter().map(|leaf| *leaf == zeros).collect();
        let mut image = Self { file, leaves, hasher, zeros, done };
        let mut from = 0;
        while let Some(data) = next_data(file, from, size)? {
            image.check(data.start / offset(1)..data.end.div_ceil(offset(1)))?;
            from = data.end;
        }
        Ok(image)
    }

    /// How many blocks are right.
    pub(super) fn done(&self) -> u64 {
        self.done.iter().filter(|done| **done).count() as u64
    }

    /// The numbers of the blocks that are not, in order.
    pub(super) fn missing(&self) -> Vec<u64> {
        let blocks = (0..).zip(&self.done);
        blocks.filter(|(_, done)| !**done).map(|(number, _)| number).collect()
    }

    /// The blocks that are neither right nor zeros nor at one of these places.
    pub(super) fn missing_from(&self, here: &Seens) -> Vec<u64> {
        let mut missing = self.missing();
        missing.retain(|number| {
            self.leaf(*number).is_some_and(|leaf| *leaf != self.zeros && !here.has(leaf))
        });
        missing
    }

    /// Copies the missing blocks that are in one of the files at these places. What turns out to be another block
    /// stays missing.
    pub(super) fn copy(&mut self, here: &Seens, files: &[&File]) -> Result<(), Error> {
        let mut reader = Reader::new();
        let mut last = None;
        for number in self.missing() {
            let found = self.find(number, last, here);
            last = self.copy_first_right(number, &found, (files, &mut reader))?;
        }
        Ok(())
    }

    /// Where a block may be. First the place behind the last one: files are read in order then.
    fn find(&self, number: u64, last: Option<Place>, here: &Seens) -> Vec<Place> {
        let Some(leaf) = self.leaf(number) else { return Vec::new() };
        let next = last.map(|last| Place { block: last.block + 1, ..last });
        let mut found: Vec<_> = here.find(leaf).take(MAX_CANDIDATES).collect();
        found.sort_by_key(|place| Some(*place) != next);
        found
    }

    fn copy_first_right(
        &mut self,
        number: u64,
        places: &[Place],
        (files, reader): (&[&File], &mut Reader),
    ) -> Result<Option<Place>, Error> {
        if self.leaf(number) == Some(&self.zeros) {
            self.write(number, &[0; BLOCK])?;
            return Ok(None);
        }
        for place in places {
            let block = files.get(place.source).and_then(|file| reader.read(file, *place));
            if let Some(block) = block.filter(|block| self.is_right(number, block)) {
                self.write(number, block)?;
                return Ok(Some(*place));
            }
        }
        Ok(None)
    }

    /// Copies the missing blocks that the image itself has elsewhere.
    pub(super) fn copy_within(&mut self) -> Result<(), Error> {
        let missing = self.missing();
        if missing.is_empty() {
            return Ok(());
        }
        let mut wanted = Seens::default();
        missing.iter().for_each(|number| self.note(*number, &mut wanted));
        let wanted = wanted.sorted();
        let mut here = Seens::default();
        for (number, _) in (0..).zip(&self.done).filter(|(_, done)| **done) {
            if self.leaf(number).is_some_and(|leaf| wanted.has(leaf)) {
                self.note(number, &mut here);
            }
        }
        self.copy(&here.sorted(), &[self.file])
    }

    fn note(&self, number: u64, seens: &mut Seens) {
        if let Some(leaf) = self.leaf(number) {
            seens.note(leaf, Place { source: 0, block: number });
        }
    }

    /// Writes those of a frame's blocks that are missing, all of which must be right. `first` is the number of the first.
    pub(super) fn take_frame(&mut self, first: u64, blocks: &[Block]) -> Result<(), Error> {
        let numbered = || (first..).zip(blocks);
        let wrong = numbered()
            .find(|(number, block)| !self.is_done(*number) && !self.is_right(*number, block));
        if let Some((number, _)) = wrong {
            return Err(Error::Damaged { object: "image", offset: offset(number) });
        }
        let missing: Vec<_> = numbered().filter(|(number, _)| !self.is_done(*number)).collect();
        for run in missing.chunk_by(|(a, _), (b, _)| a + 1 == *b) {
            self.write_run(first, run, blocks)?;
        }
        Ok(())
    }

    fn write_run(
        &mut self,
        first: u64,
        run: &[(u64, &Block)],
        blocks: &[Block],
    ) -> Result<(), Error> {
        let Some((number, _)) = run.first() else { return Ok(()) };
        let from = (number - first) as usize;
        let bytes = blocks.get(from..from + run.len()).unwrap_or_default().as_flattened();
        self.write(*number, bytes)
    }

    /// Writes blocks that have been found right.
    pub(super) fn write(&mut self, number: u64, blocks: &[u8]) -> Result<(), Error> {
        block_file::write(self.file, number, blocks).map_err(Error::file("write", OBJECT))?;
        let from = number as usize;
        let done = self.done.get_mut(from..from + blocks.len() / BLOCK);
        done.unwrap_or_default().fill(true);
        Ok(())
    }

    fn check(&mut self, blocks: Range<u64>) -> Result<(), Error> {
        let mut buffer = vec![[0; BLOCK]; CHUNK as usize];
        for first in blocks.clone().step_by(CHUNK as usize) {
            let count = (blocks.end - first).min(CHUNK) as usize;
            let chunk = buffer.get_mut(..count).unwrap_or_default();
            let read = self.file.read_exact_at(chunk.as_flattened_mut(), offset(first));
            read.map_err(Error::file("read", OBJECT))?;
            for (number, block) in (first..).zip(chunk.iter()) {
                let is_right = self.is_right(number, block);
                self.done.get_mut(number as usize).into_iter().for_each(|done| *done = is_right);
            }
        }
        Ok(())
    }

    pub(super) fn is_right(&self, number: u64, block: &Block) -> bool {
        self.leaf(number) == Some(&self.hasher.leaf(block))
    }

    /// Whether the image has such a block, and it is not right yet.
    pub(super) fn is_missing(&self, number: u64) -> bool {
        self.done.get(number as usize) == Some(&false)
    }

    /// A block as it is in the file.
    pub(super) fn read(&self, number: u64) -> Result<Block, Error> {
        let block = block_file::read(self.file, number).map_err(Error::file("read", OBJECT))?;
        Ok(block.unwrap_or([0; BLOCK]))
    }

    fn is_done(&self, number: u64) -> bool {
        self.done.get(number as usize) == Some(&true)
    }

    fn leaf(&self, number: u64) -> Option<&'a Leaf> {
        self.leaves.get(number as usize)
    }
}

const OBJECT: &str = "root.img";

/// The next run of bytes that are no hole.
fn next_data(file: &File, from: u64, size: u64) -> Result<Option<Range<u64>>, Error> {
    let failed = |cause: Errno| Error::file("look for data in", OBJECT)(cause.into());
    let start = match rustix::fs::seek(file, SeekFrom::Data(from)) {
        // There is no data behind `from`.
        Err(Errno::NXIO) => return Ok(None),
        start => start.map_err(failed)?,
    };
    let end = rustix::fs::seek(file, SeekFrom::Hole(start)).map_err(failed)?;
    Ok((start < size).then_some(start..end.min(size)))
}
