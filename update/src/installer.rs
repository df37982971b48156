use std::collections::BTreeMap;

use pintle_verify::verity::{BLOCK, Geometry, LeafHasher, TreeFile};
use pintle_verify::{Seal, Verified};
use rustix::fd::OwnedFd;
use rustix::fs::{Advice, FallocateFlags, fadvise, fallocate};
use rustix::io::Errno;

use crate::files::{check_size, read_at, read_whole};
use crate::hands::{Hands, failed};
use crate::{EntryFiles, Error, InstallStep, Piece, Place};

/// Copied and read back at a time; more is no faster, and less memory is better.
const CHUNK: usize = 64 * BLOCK;

/// Carries out the steps of one installation.
pub(crate) struct Installer<'a> {
    hands: &'a Hands,
    release: &'a EntryFiles,
    seal: &'a Verified<Seal>,
    tree: Vec<u8>,
    incoming: Place,
    /// What was written, open from the first byte on, so that no error of writing it is missed.
    written: BTreeMap<Piece, OwnedFd>,
}

impl<'a> Installer<'a> {
    /// Reads the release's tree, and checks the image's size.
    pub(crate) fn new(
        hands: &'a Hands,
        release: &'a EntryFiles,
        seal: &'a Verified<Seal>,
    ) -> Result<Self, Error> {
        let geometry = Geometry::of_image(seal.image_size)?;
        check_size(&release.image, seal.image_size, &source(Piece::Image))?;
        let tree = read_whole(&release.tree, geometry.tree_size(), &source(Piece::Tree))?;
        TreeFile::open(&tree, seal)?;
        let incoming = Place::fetched(seal.sequence);
        Ok(Self { hands, release, seal, tree, incoming, written: BTreeMap::new() })
    }

    /// Carries out one step; after an error there must be no other.
    pub(crate) fn carry_out(&mut self, step: &InstallStep) -> Result<(), Error> {
        match step {
            InstallStep::Names(step) => self.hands.carry_out(std::slice::from_ref(step)),
            InstallStep::Write(piece) => self.write(*piece),
            InstallStep::SyncFile(piece) => self.sync(*piece),
            InstallStep::ReadBack(piece) => self.read_back(*piece),
        }
    }

    fn write(&mut self, piece: Piece) -> Result<(), Error> {
        let place = self.incoming.piece(piece);
        let file = self.hands.create(&place)?;
        match piece {
            Piece::Image => self.copy_image(&file, &place)?,
            Piece::Tree => write_at(&file, &self.tree, 0, &place)?,
            Piece::Seal => write_at(&file, &self.release.seal, 0, &place)?,
        }
        self.written.insert(piece, file);
        Ok(())
    }

    fn copy_image(&self, to: &OwnedFd, place: &Place) -> Result<(), Error> {
        reserve(to, self.seal.image_size, place)?;
        self.each_chunk(&self.release.image, &source(Piece::Image), |chunk, offset| {
            write_at(to, chunk, offset, place)
        })
    }

    fn sync(&self, piece: Piece) -> Result<(), Error> {
        self.hands.sync_data(&self.incoming.piece(piece), self.written(piece)?)
    }

    /// Straight after a sync every page is still cached, and reading those would prove nothing.
    fn read_back(&self, piece: Piece) -> Result<(), Error> {
        let place = self.incoming.piece(piece);
        let file = self.written(piece)?;
        fadvise(file, 0, None, Advice::DontNeed)
            .map_err(|cause| failed("drop from the page cache", &place, cause))?;
        match piece {
            Piece::Image => self.each_chunk(file, &place, |_, _| Ok(())),
            Piece::Tree => compare(file, &self.tree, &place),
            Piece::Seal => compare(file, &self.release.seal, &place),
        }
    }

    /// Reads an image, and passes on, with its offset, each chunk whose blocks match their leaves.
    fn each_chunk(
        &self,
        image: &OwnedFd,
        place: &Place,
        mut then: impl FnMut(&[u8], u64) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let leaves = TreeFile::open(&self.tree, self.seal)?.leaves();
        let hasher = LeafHasher::new(&self.seal.salt);
        let mut buffer = vec![0; CHUNK];
        for (index, expected) in leaves.chunks(CHUNK / BLOCK).enumerate() {
            let offset = (index * CHUNK) as u64;
            let buffer = buffer.get_mut(..expected.len() * BLOCK).unwrap_or_default();
            let chunk =
                read_at(image, buffer, offset).map_err(|cause| failed("read", place, cause))?;
            let found = chunk.as_chunks().0.iter().map(|block| hasher.leaf(block));
            if !found.eq(expected.iter().copied()) {
                return Err(Error::Damaged { object: place.to_string(), offset });
            }
            then(chunk, offset)?;
        }
        Ok(())
    }

    fn written(&self, piece: Piece) -> Result<&OwnedFd, Error> {
        let missing = || failed("find", &self.incoming.piece(piece), Errno::NOENT);
        self.written.get(&piece).ok_or_else(missing)
    }
}

fn source(piece: Piece) -> Place {
    Place::root().piece(piece)
}

/// Takes the space now rather than run out of it at the end, and keeps the file in one piece. Not
/// every file system can.
fn reserve(file: &OwnedFd, size: u64, place: &Place) -> Result<(), Error> {
    match fallocate(file, FallocateFlags::empty(), 0, size) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        Err(cause) => Err(failed("reserve space for", place, cause)),
    }
}

fn write_at(file: &OwnedFd, mut bytes: &[u8], mut offset: u64, place: &Place) -> Result<(), Error> {
    while !bytes.is_empty() {
        let count = rustix::io::retry_on_intr(|| rustix::io::pwrite(file, bytes, offset))
            .map_err(|cause| failed("write", place, cause))?;
        bytes = bytes.get(count..).unwrap_or_default();
        offset += count as u64;
    }
    Ok(())
}

fn compare(file: &OwnedFd, expected: &[u8], place: &Place) -> Result<(), Error> {
    let found = read_whole(file, expected.len() as u64, place)?;
    match found.iter().zip(expected).position(|(found, expected)| found != expected) {
        None if found.len() == expected.len() => Ok(()),
        difference => {
            let offset = difference.unwrap_or(found.len()) as u64;
            Err(Error::Damaged { object: place.to_string(), offset })
        }
    }
}
