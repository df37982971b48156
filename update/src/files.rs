use rustix::fd::OwnedFd;
use rustix::fs::{self, FileType, OFlags};

use crate::hands::{Hands, failed};
use crate::{Error, Place};

/// The most that is read of a seal; a longer one is none.
const MAX_SEAL: usize = 4096;

pub(crate) const IMAGE: &str = "root.img";
pub(crate) const TREE: &str = "root.tree";
pub(crate) const SEAL: &str = "seal";

/// The three files of an entry or a release, open for reading, nothing about them verified.
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
}

pub(crate) fn open(hands: &Hands, directory: &Place) -> Result<EntryFiles, Error> {
    Ok(EntryFiles {
        image: open_file(hands, &directory.child(IMAGE))?,
        tree: open_file(hands, &directory.child(TREE))?,
        seal: read_seal(hands, &directory.child(SEAL))?,
    })
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
    let mut seal = vec![0; MAX_SEAL + 1];
    let mut length = 0;
    while let Some(rest) = seal.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut *rest)) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(cause) => return Err(failed("read", place, cause)),
        }
    }
    if length > MAX_SEAL {
        return Err(Error::File { object: place.to_string(), cause: "it is longer than a seal" });
    }
    seal.truncate(length);
    Ok(seal)
}
