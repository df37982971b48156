//! Making the new image: from its first byte to its last, with its tree.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::os::unix::fs::FileExt;

use pintle_verify::verity::{BLOCK, Geometry, Leaf, LeafHasher, Tree};
use pintle_verify::{Seal, Uuid};

use super::varint::{take, take_operation};
use super::{MAGIC, MAX_ADDED, MAX_NEW, MAX_OPERATIONS, Operation, WINDOW_LOG};
use crate::block_file::{length, offset};
use crate::{Error, Source, Target};

/// Read, added and written at once.
const CHUNK: usize = 256 << 10;

/// Makes the target's image and tree out of the older image and the target's delta.
///
/// Whatever the delta is, no more is written than the image's size, and what is not the seal's image is an error. Blocks
/// that are right stay of use then.
pub(crate) fn apply(old: &Source, seal: &Seal, target: &Target) -> Result<(), Error> {
    let mut sections = Sections::open(&target.delta)?;
    let mut image = Image::begin(&target.image, seal)?;
    let mut place = Place::first(&old.image)?;
    while image.left() > 0 {
        let section = sections.next()?;
        section.carry_out(&mut place, &mut image)?;
    }
    sections.end()?;
    finish(image.end()?, seal, target)
}

fn finish(leaves: Vec<Leaf>, seal: &Seal, target: &Target) -> Result<(), Error> {
    let tree = Tree::from_leaves(seal.salt, leaves).map_err(Error::Verify)?;
    if tree.root() != seal.root_hash {
        return Err(wrong("it makes another image"));
    }
    let failed = || Error::file("write", "root.tree");
    let size = tree.geometry().tree_size();
    (&target.tree).rewind().and_then(|()| target.tree.set_len(size)).map_err(failed())?;
    let mut out = BufWriter::with_capacity(CHUNK, &target.tree);
    tree.write(&mut out, Uuid::of_image_id(&seal.image_id)).map_err(failed())?;
    out.flush().map_err(failed())
}

/// The content of a delta, section by section.
struct Sections<'d> {
    content: zstd::Decoder<'static, BufReader<&'d File>>,
    section: Section,
}

/// A part of a delta.
#[derive(Default)]
struct Section {
    operations: Vec<u8>,
    added: Vec<u8>,
    new: Vec<u8>,
}

impl<'d> Sections<'d> {
    fn open(delta: &'d File) -> Result<Self, Error> {
        let mut file = delta;
        file.rewind().map_err(Error::file("read", "delta"))?;
        let decoder = zstd::Decoder::with_buffer(BufReader::with_capacity(CHUNK, file));
        let mut content = decoder.map_err(Error::file("set up", "zstd"))?.single_frame();
        content.window_log_max(WINDOW_LOG).map_err(Error::file("set up", "zstd"))?;
        let mut magic = [0; MAGIC.len()];
        content.read_exact(&mut magic).map_err(unreadable)?;
        match magic == *MAGIC {
            true => Ok(Self { content, section: Section::default() }),
            false => Err(wrong("it is none of this version")),
        }
    }

    fn next(&mut self) -> Result<&Section, Error> {
        let [operations, added, new] =
            [MAX_OPERATIONS, MAX_ADDED, MAX_NEW].map(|limit| self.number(limit));
        let Self { content, section } = self;
        for (bytes, length) in [
            (&mut section.operations, operations?),
            (&mut section.added, added?),
            (&mut section.new, new?),
        ] {
            bytes.resize(length, 0);
            content.read_exact(bytes).map_err(unreadable)?;
        }
        Ok(section)
    }

    /// A number of bytes.
    fn number(&mut self, limit: usize) -> Result<usize, Error> {
        let mut bytes = Vec::new();
        loop {
            let mut byte = [0];
            self.content.read_exact(&mut byte).map_err(unreadable)?;
            bytes.extend(byte);
            if let Some(number) = take(&mut bytes.as_slice()) {
                let number = usize::try_from(number).ok().filter(|number| *number <= limit);
                return number.ok_or_else(|| wrong("a section is too large"));
            }
            if byte[0] & 0x80 == 0 || bytes.len() > size_of::<u64>() + 2 {
                return Err(wrong("a section's size is no number"));
            }
        }
    }

    /// Nothing may come after the image.
    fn end(mut self) -> Result<(), Error> {
        match self.content.read(&mut [0]).map_err(unreadable)? {
            0 => Ok(()),
            _ => Err(wrong("it goes on behind the image")),
        }
    }
}

impl Section {
    fn carry_out(&self, place: &mut Place<'_>, image: &mut Image<'_>) -> Result<(), Error> {
        let (mut operations, mut added, mut new) =
            (self.operations.as_slice(), self.added.as_slice(), self.new.as_slice());
        if operations.is_empty() {
            return Err(wrong("a section does nothing"));
        }
        while !operations.is_empty() {
            let Operation { copy, add, new: length, seek } =
                take_operation(&mut operations).ok_or_else(|| wrong("an operation is cut"))?;
            image.has_room_for(&[copy, add, length])?;
            place.copy(copy, image)?;
            place.add(split(&mut added, add)?, image)?;
            image.write(split(&mut new, length)?)?;
            place.move_by(seek)?;
        }
        match added.is_empty() && new.is_empty() {
            true => Ok(()),
            false => Err(wrong("a section has bytes that nobody asks for")),
        }
    }
}

fn split<'b>(bytes: &mut &'b [u8], length: u64) -> Result<&'b [u8], Error> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let (first, rest) = bytes.split_at_checked(length).ok_or_else(|| wrong("a section is cut"))?;
    *bytes = rest;
    Ok(first)
}

/// A place in the older image.
struct Place<'o> {
    image: &'o File,
    size: u64,
    at: u64,
    buffer: Vec<u8>,
}

impl<'o> Place<'o> {
    fn first(image: &'o File) -> Result<Self, Error> {
        let size = length(image).map_err(unread)?;
        Ok(Self { image, size, at: 0, buffer: vec![0; CHUNK] })
    }

    fn copy(&mut self, mut length: u64, image: &mut Image<'_>) -> Result<(), Error> {
        while length > 0 {
            let count = length.min(CHUNK as u64) as usize;
            image.write(self.read(count)?)?;
            length -= count as u64;
        }
        Ok(())
    }

    fn add(&mut self, added: &[u8], image: &mut Image<'_>) -> Result<(), Error> {
        for added in added.chunks(CHUNK) {
            let bytes = self.read(added.len())?;
            bytes.iter_mut().zip(added).for_each(|(byte, more)| *byte = byte.wrapping_add(*more));
            image.write(bytes)?;
        }
        Ok(())
    }

    /// The next bytes of the older image, at most [`CHUNK`].
    fn read(&mut self, count: usize) -> Result<&mut [u8], Error> {
        if self.at + count as u64 > self.size {
            return Err(wrong("it copies what the older image does not have"));
        }
        let bytes = self.buffer.get_mut(..count).unwrap_or_default();
        self.image.read_exact_at(bytes, self.at).map_err(unread)?;
        self.at += count as u64;
        Ok(bytes)
    }

    fn move_by(&mut self, seek: i64) -> Result<(), Error> {
        let moved = self.at.checked_add_signed(seek).filter(|at| *at <= self.size);
        self.at = moved.ok_or_else(|| wrong("it goes beyond the older image"))?;
        Ok(())
    }
}

/// The image that is being made, and the leaves of what is written.
struct Image<'i> {
    file: &'i File,
    size: u64,
    /// Bytes that were given, those in the buffer among them.
    given: u64,
    buffer: Vec<u8>,
    hasher: LeafHasher,
    leaves: Vec<Leaf>,
}

impl<'i> Image<'i> {
    fn begin(file: &'i File, seal: &Seal) -> Result<Self, Error> {
        let size = seal.image_size;
        let blocks = Geometry::of_image(size).map_err(Error::Verify)?.data_blocks();
        file.set_len(size).map_err(Error::file("resize", IMAGE))?;
        let hasher = LeafHasher::new(&seal.salt);
        let (buffer, leaves) = (Vec::with_capacity(CHUNK), Vec::with_capacity(blocks as usize));
        Ok(Self { file, size, given: 0, buffer, hasher, leaves })
    }

    fn left(&self) -> u64 {
        self.size - self.given
    }

    fn has_room_for(&self, lengths: &[u64]) -> Result<(), Error> {
        let whole = lengths.iter().try_fold(0u64, |sum, length| sum.checked_add(*length));
        match whole.is_some_and(|whole| whole <= self.left()) {
            true => Ok(()),
            false => Err(wrong("it makes more than the image")),
        }
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let room = CHUNK - self.buffer.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            self.given += now.len() as u64;
            if self.buffer.len() == CHUNK {
                self.flush()?;
            }
            bytes = later;
        }
        Ok(())
    }

    /// Writes the buffer, which has whole blocks.
    fn flush(&mut self) -> Result<(), Error> {
        let first = offset(self.leaves.len() as u64);
        self.file.write_all_at(&self.buffer, first).map_err(Error::file("write", IMAGE))?;
        let blocks: &[[u8; BLOCK]] = self.buffer.as_chunks().0;
        self.leaves.extend(blocks.iter().map(|block| self.hasher.leaf(block)));
        self.buffer.clear();
        Ok(())
    }

    fn end(mut self) -> Result<Vec<Leaf>, Error> {
        self.flush()?;
        Ok(self.leaves)
    }
}

const IMAGE: &str = "root.img";

fn wrong(cause: &str) -> Error {
    Error::Delta(cause.to_owned())
}

/// A disk that fails under the older image; without it the image comes by blocks.
fn unread(cause: std::io::Error) -> Error {
    Error::Delta(format!("its older image cannot be read: {cause}"))
}

/// What zstd finds wrong, and an end that comes too early.
fn unreadable(cause: std::io::Error) -> Error {
    Error::Delta(format!("it cannot be read: {cause}"))
}
