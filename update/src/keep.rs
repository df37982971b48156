//! What outlives a factory reset gets a second name: files are linked, so that a full disk is no obstacle and a cut harms
//! nothing; directories, which cannot be linked, are made anew with the same owner, mode and attributes.

use std::ffi::{CStr, CString};

use rustix::fd::OwnedFd;
use rustix::fs::{self, AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Uid, XattrFlags};
use rustix::io::Errno;

use crate::hands::{Hands, failed};
use crate::{Error, KeptPath, Place};

/// As deep as any program makes directories; the descriptors of as many are open at a time.
const MAX_DEPTH: usize = 128;

/// The longest list of attribute names, and the longest attribute, of ext4's attribute block.
const MAX_XATTRS: usize = 64 << 10;

/// Whose attributes a directory that is made anew has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Attributes {
    /// All of the old one's.
    Whole,
    /// Owner and mode. A directory on the way to what is kept hides nothing of the image.
    OwnerAndMode,
}

/// Keeps what is at `path`; nothing, where nothing is there.
pub(crate) fn keep(hands: &Hands, path: &KeptPath) -> Result<(), Error> {
    let place = Place::data().child(path.stored());
    match keep_below(hands, path) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(cause) => Err(failed("keep", &place, cause)),
    }
}

fn keep_below(hands: &Hands, path: &KeptPath) -> Result<(), Errno> {
    let open = |place: Place| hands.open_dir(&place).map_err(|error| error.cause());
    let (mut from, mut to) = (open(Place::data())?, open(Place::reset())?);
    let mut parts = path.parts().map(|part| CString::new(part).map_err(|_| Errno::INVAL));
    let last = parts.next_back().ok_or(Errno::INVAL)??;
    for part in parts {
        let part = part?;
        (from, to) = descend(&from, &to, (&part, Attributes::OwnerAndMode))?;
    }
    copy(&from, &to, &last)
}

/// Keeps a file or a whole tree, without recursion.
fn copy(from: &OwnedFd, to: &OwnedFd, name: &CStr) -> Result<(), Errno> {
    let Some(level) = copy_one(from, to, name)? else { return Ok(()) };
    let mut levels = vec![level];
    while let Some((from, to, names)) = levels.last_mut() {
        let Some(name) = names.pop() else {
            levels.pop();
            continue;
        };
        if let Some(deeper) = copy_one(from, to, &name)? {
            if levels.len() >= MAX_DEPTH {
                return Err(Errno::NAMETOOLONG);
            }
            levels.push(deeper);
        }
    }
    Ok(())
}

/// A directory, its copy, and the names in it that are not copied yet.
type Level = (OwnedFd, OwnedFd, Vec<CString>);

fn copy_one(from: &OwnedFd, to: &OwnedFd, name: &CStr) -> Result<Option<Level>, Errno> {
    let stat = fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return match fs::linkat(from, name, to, name, AtFlags::empty()) {
            // Of two kept paths one is within the other.
            Ok(()) | Err(Errno::EXIST) => Ok(None),
            Err(errno) => Err(errno),
        };
    }
    let (from, to) = descend(from, to, (name, Attributes::Whole))?;
    let names = names_in(&from)?;
    Ok(Some((from, to, names)))
}

/// Opens a directory and its copy, which is made where it is missing.
fn descend(
    from: &OwnedFd,
    to: &OwnedFd,
    (name, attributes): (&CStr, Attributes),
) -> Result<(OwnedFd, OwnedFd), Errno> {
    let from = open_directory(from, name)?;
    match fs::mkdirat(to, name, Mode::from_raw_mode(0o700)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    let to = open_directory(to, name)?;
    take_on(&to, &fs::fstat(&from)?)?;
    if attributes == Attributes::Whole {
        copy_xattrs(&from, &to)?;
    }
    Ok((from, to))
}

fn take_on(directory: &OwnedFd, stat: &Stat) -> Result<(), Errno> {
    let (user, group) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    fs::fchown(directory, Some(user), Some(group))?;
    fs::fchmod(directory, Mode::from_raw_mode(stat.st_mode))
}

fn copy_xattrs(from: &OwnedFd, to: &OwnedFd) -> Result<(), Errno> {
    let mut names = vec![0u8; MAX_XATTRS];
    let length = match fs::flistxattr(from, names.as_mut_slice()) {
        Err(Errno::OPNOTSUPP) => return Ok(()),
        length => length?,
    };
    let names = names.get(..length).unwrap_or_default();
    let mut value = vec![0u8; MAX_XATTRS];
    for name in names.split_inclusive(|byte| *byte == 0) {
        let name = CStr::from_bytes_with_nul(name).map_err(|_| Errno::INVAL)?;
        let length = fs::fgetxattr(from, name, value.as_mut_slice())?;
        let value = value.get(..length).unwrap_or_default();
        fs::fsetxattr(to, name, value, XattrFlags::empty())?;
    }
    Ok(())
}

fn names_in(directory: &OwnedFd) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let name = entry?.file_name().to_owned();
        if name.as_c_str() != c"." && name.as_c_str() != c".." {
            names.push(name);
        }
    }
    Ok(names)
}

fn open_directory(parent: &OwnedFd, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::openat(parent, name, flags, Mode::empty())
}
