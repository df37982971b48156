use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{self, FileType, OFlags};

use crate::hands::{Hands, failed};
use crate::{Error, Place};

/// The most that is read of a seal; a longer one is none.
const MAX_SEAL: usize = 4096;

/// The most that is read of an origin: a reference and a digest.
const MAX_ORIGIN: usize = 1024;

/// A file of an entry or a release.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Piece {
    /// `root.img`
    Image,
    /// `root.tree`
    Tree,
    /// `seal`
    Seal,
    /// `origin`: where an entry was fetched from. One that was installed from a directory has none.
    Origin,
}

impl Piece {
    /// Those that every entry has, in the order in which they are written.
    pub const ALL: [Self; 3] = [Self::Image, Self::Tree, Self::Seal];

    /// The file's name.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Image => "root.img",
            Self::Tree => "root.tree",
            Self::Seal => "seal",
            Self::Origin => "origin",
        }
    }
}

/// The files of an entry or a release, open for reading, nothing about them verified.
///
/// What is verified and what is used are these descriptors; nothing is opened a second time.
#[derive(Debug)]
pub struct EntryFiles {
    /// `root.img`
    pub image: OwnedFd,
    /// `root.tree`
    pub tree: OwnedFd,
    /// The content of `seal`, at most 4096 bytes.
    pub seal: Vec<u8>,
    /// The content of `origin`, where there is one: a reference with the digest of the release's
    /// manifest, at most 1024 bytes.
    pub origin: Option<String>,
}

impl EntryFiles {
    /// Opens a release: the directory that `pintle build` wrote.
    pub fn open_release(directory: BorrowedFd<'_>) -> Result<Self, Error> {
        open(&Hands::open(directory)?, &Place::root())
    }
}

pub(crate) fn open(hands: &Hands, directory: &Place) -> Result<EntryFiles, Error> {
    Ok(EntryFiles {
        image: open_file(hands, &directory.piece(Piece::Image))?,
        tree: open_file(hands, &directory.piece(Piece::Tree))?,
        seal: read_seal(hands, &directory.piece(Piece::Seal))?,
        origin: read_origin(hands, &directory.piece(Piece::Origin))?,
    })
}

/// Fills `buffer` from `offset`; less than all of it at the end of the file. Returns what was read.
pub(crate) fn read_at<'a>(
    file: &OwnedFd,
    buffer: &'a mut [u8],
    offset: u64,
) -> rustix::io::Result<&'a [u8]> {
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        let at = offset + length as u64;
        match rustix::io::retry_on_intr(|| rustix::io::pread(file, &mut *rest, at))? {
            0 => break,
            count => length += count,
        }
    }
    Ok(buffer.get(..length).unwrap_or_default())
}

/// Reads a file of exactly `size` bytes, at most what the caller can hold.
pub(crate) fn read_whole(file: &OwnedFd, size: u64, place: &Place) -> Result<Vec<u8>, Error> {
    check_size(file, size, place)?;
    let mut bytes = vec![0; size as usize];
    let read = read_at(file, &mut bytes, 0).map_err(|cause| failed("read", place, cause))?.len();
    bytes.truncate(read);
    Ok(bytes)
}

/// Refuses a file that is not of the size that the seal says, or that follows from it.
pub(crate) fn check_size(file: &OwnedFd, size: u64, place: &Place) -> Result<(), Error> {
    let stat = fs::fstat(file).map_err(|cause| failed("look at", place, cause))?;
    if u64::try_from(stat.st_size) == Ok(size) {
        return Ok(());
    }
    Err(Error::File { object: place.to_string(), cause: "its size is not the seal's" })
}

fn open_file(hands: &Hands, place: &Place) -> Result<OwnedFd, Error> {
    let file = hands.open_at(place, OFlags::RDONLY)?;
    let stat = fs::fstat(&file).map_err(|cause| failed("look at", place, cause))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Error::File { object: place.to_string(), cause: "it is no regular file" });
    }
    Ok(file)
}

fn read_seal(hands: &Hands, place: &Place) -> Result<Vec<u8>, Error> {
    let file = open_file(hands, place)?;
    let seal = read_start(&file, MAX_SEAL + 1, place)?;
    if seal.len() > MAX_SEAL {
        return Err(Error::File { object: place.to_string(), cause: "it is longer than a seal" });
    }
    Ok(seal)
}

/// An origin that is empty or no text says as little as none, and keeps no entry from booting.
fn read_origin(hands: &Hands, place: &Place) -> Result<Option<String>, Error> {
    let file = match open_file(hands, place) {
        Err(error) if error.is_missing() => return Ok(None),
        file => file?,
    };
    let origin = String::from_utf8(read_start(&file, MAX_ORIGIN, place)?).unwrap_or_default();
    Ok(Some(origin.trim_end().to_owned()).filter(|origin| !origin.is_empty()))
}

fn read_start(file: &OwnedFd, limit: usize, place: &Place) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; limit];
    let length = read_at(file, &mut bytes, 0).map_err(|cause| failed("read", place, cause))?.len();
    bytes.truncate(length);
    Ok(bytes)
}
