//! Where file data waits between the layers and the image: one temporary file without a name.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Attempt, Result};

/// Every run starts at such a multiple, so that it can be copied or shared block by block.
pub const ALIGNMENT: u64 = 4096;

/// An unnamed temporary file that many threads append to and read from at once; it vanishes with
/// the value, and with the process.
#[derive(Debug)]
pub struct Spool {
    file: File,
    end: AtomicU64,
    directory: PathBuf,
}

impl Spool {
    /// A new, empty one on the file system of `directory`.
    pub fn within(directory: &Path) -> Result<Self> {
        let file = tempfile::tempfile_in(directory)
            .attempt(|| format!("make a temporary file in {}", directory.display()))?;
        Ok(Self { file, end: AtomicU64::new(0), directory: directory.into() })
    }

    /// What failed when a write fails; whoever reads it must know which disk is full.
    pub fn write_action(&self) -> String {
        format!("write a temporary file in {}", self.directory.display())
    }

    /// Writes `bytes` where nothing was before, and says where. No lock: threads do not wait for
    /// each other.
    pub fn append(&self, bytes: &[u8]) -> io::Result<u64> {
        let at = self.reserve(bytes.len() as u64)?;
        self.write_at(bytes, at)?;
        Ok(at)
    }

    /// Keeps room for `length` bytes and says where; [`write_at`](Self::write_at) then fills it.
    pub fn reserve(&self, length: u64) -> io::Result<u64> {
        self.end
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |end| end_after(end, length))
            .map_err(|_| io::ErrorKind::FileTooLarge.into())
    }

    /// Fills room that was reserved.
    pub fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, at)
    }

    /// Fills all of `buffer`.
    ///
    /// # Errors
    /// Also when nothing was ever written there.
    pub fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, at)
    }

    /// The file itself, for copies inside the kernel.
    pub fn file(&self) -> &File {
        &self.file
    }
}

fn end_after(end: u64, length: u64) -> Option<u64> {
    let end = end.checked_add(length)?.checked_next_multiple_of(ALIGNMENT)?;
    (end <= i64::MAX as u64).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn spool() -> Spool {
        Spool::within(&std::env::temp_dir()).unwrap()
    }

    #[test]
    fn threads_append_side_by_side_without_overlap() {
        let spool = spool();
        let appended = |byte: u8| (0..200).map(move |i| vec![byte; 1 + i * 37]);
        thread::scope(|scope| {
            for byte in 0..4 {
                let spool = &spool;
                scope.spawn(move || {
                    let placed: Vec<_> = appended(byte)
                        .map(|bytes| (spool.append(&bytes).unwrap(), bytes))
                        .collect();
                    for (at, bytes) in placed {
                        let mut read = vec![0xff; bytes.len()];
                        spool.read_at(&mut read, at).unwrap();
                        assert_eq!(at % ALIGNMENT, 0);
                        assert_eq!(read, bytes);
                    }
                });
            }
        });
    }

    #[test]
    fn room_past_what_a_file_can_hold_is_refused() {
        let spool = spool();
        assert!(spool.reserve(u64::MAX).is_err());
        assert!(spool.reserve(i64::MAX as u64).is_err());
        assert_eq!(spool.reserve(1).unwrap(), 0);
        assert_eq!(spool.reserve(1).unwrap(), 4096);
    }

    #[test]
    fn it_has_no_name() {
        let directory = tempfile::tempdir().unwrap();
        let spool = Spool::within(directory.path()).unwrap();
        spool.append(b"x").unwrap();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
