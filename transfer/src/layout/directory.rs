use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::fd::OwnedFd;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};

use super::{blob_name, other_size};
use crate::Blob;
use crate::block_file::length;

/// A layout in a directory.
pub(super) struct Directory(pub(super) OwnedFd);

impl Directory {
    /// A regular file, opened beneath the directory and through no link.
    pub(super) fn open(&self, name: &str) -> io::Result<File> {
        let beneath =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        // A FIFO in the place of a file would otherwise wait for a writer.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = File::from(rustix::fs::openat2(&self.0, name, flags, Mode::empty(), beneath)?);
        match FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) {
            FileType::RegularFile => Ok(file),
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")),
        }
    }

    /// A blob, read from `at` on.
    pub(super) fn open_blob(&self, blob: &Blob, at: u64) -> io::Result<File> {
        let mut file = self.open(&blob_name(&blob.digest))?;
        if length(&file)? != blob.size {
            return Err(other_size());
        }
        file.seek(SeekFrom::Start(at))?;
        Ok(file)
    }
}
