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

    /// An installation of files that are in `incoming/<sequence>/` already.
    pub(crate) fn of_fetched(
        hands: &'a Hands,
        release: &'a EntryFiles,
        seal: &'a Verified<Seal>,
    ) -> Result<Self, Error> {
        let mut this = Self::new(hands, release, seal)?;
        for (piece, file) in [(Piece::Image, &release.image), (Piece::Tree, &release.tree)] {
            let file = file.try_clone().map_err(|cause| {
                failed(
                    "duplicate",
                    &source(piece),
                    Errno::from_io_error(&cause).unwrap_or(Errno::IO),
                )
            })?;
            this.written.insert(piece, file);
        }
        Ok(this)
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
            Piece::Origin => write_at(&file, self.origin(), 0, &place)?,
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
            Piece::Origin => compare(file, self.origin(), &place),
        }
    }

    fn origin(&self) -> &[u8] {
        self.release.origin.as_deref().unwrap_or_default().as_bytes()
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
            let found: Vec<_> =
                chunk.as_chunks().0.iter().map(|block| hasher.leaf(block)).collect();
            if found != expected {
                let same = found.iter().zip(expected).take_while(|(one, other)| one == other);
                let offset = offset + (same.count() * BLOCK) as u64;
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

pub(crate) fn write_at(
    file: &OwnedFd,
    mut bytes: &[u8],
    mut offset: u64,
    place: &Place,
) -> Result<(), Error> {
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

#[cfg(test)]
#[allow(dead_code, reason = "other tests need more of it")]
#[path = "../tests/release/mod.rs"]
mod release;
#[cfg(test)]
#[allow(dead_code, reason = "other tests need more of it")]
#[path = "../tests/scratch/mod.rs"]
mod scratch;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileExt;

    use super::release::Release;
    use super::scratch::Ext4;
    use super::*;
    use crate::{Tries, install};

    /// Installs up to the reading back, damages the disk itself, and goes on. Needs root.
    fn install_on_a_disk_that_forgets(piece: Piece) -> Error {
        let disk = Ext4::new(16);
        fs::create_dir(disk.path().join("images")).unwrap();
        fs::create_dir(disk.path().join("incoming")).unwrap();
        let release = Release::new(42, "1.4.0", 300);
        let (files, seal) = release.open();
        let hands = Hands::open(disk.root().as_fd()).unwrap();
        let mut installer = Installer::new(&hands, &files, &seal).unwrap();
        let (_, steps) = install::steps(&seal, Tries::DEFAULT);
        let (before, after) = steps.split_at(
            steps.iter().position(|step| matches!(step, InstallStep::ReadBack(_))).unwrap(),
        );
        before.iter().for_each(|step| installer.carry_out(step).unwrap());
        flip_last_byte(&disk, &fs::read(release.path().join(piece.file_name())).unwrap());
        after.iter().find_map(|step| installer.carry_out(step).err()).unwrap()
    }

    /// Finds the file's last block on the disk, and changes the last byte of the file in it.
    fn flip_last_byte(disk: &Ext4, file: &[u8]) {
        let bytes = fs::read(disk.disk()).unwrap();
        let last = file.chunks(BLOCK).last().unwrap();
        let mut found = (0..bytes.len()).step_by(BLOCK).filter(|at| bytes[*at..].starts_with(last));
        let end = found.next().unwrap() + last.len() - 1;
        assert_eq!(found.next(), None);
        let disk = fs::File::options().write(true).open(disk.disk()).unwrap();
        disk.write_all_at(&[bytes[end] ^ 1], end as u64).unwrap();
    }

    #[test]
    fn what_the_disk_did_not_keep_is_noticed() {
        for (piece, offset) in [(Piece::Image, 299), (Piece::Tree, 4), (Piece::Seal, 0)] {
            let Error::Damaged { object, offset: at } = install_on_a_disk_that_forgets(piece)
            else {
                panic!("not damaged")
            };
            assert_eq!(object, format!("incoming/42/{}", piece.file_name()));
            assert_eq!(at / BLOCK as u64, offset);
        }
    }
}
