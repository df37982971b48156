//! Control groups, version 2: one for each service.
//!
//! Source: kernel documentation admin-guide/cgroup-v2. `cgroup.kill` needs Linux 5.14.

use crate::{Error, Purpose, Result};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, mkdirat, openat, unlinkat};
use rustix::io::{Errno, pread, write};
use std::ffi::CStr;

/// `cgroup.events` has a few short lines.
const EVENTS_MAX: usize = 256;

/// A cgroup that exists, with its events open.
#[derive(Debug)]
pub struct Cgroup {
    directory: OwnedFd,
    events: OwnedFd,
}

/// Whether any process is in a cgroup or below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Population {
    /// None is.
    Empty,
    /// At least one is.
    Populated,
}

impl Cgroup {
    /// Opens the cgroup `name` below `parent` and makes it where it is missing.
    pub fn create(parent: BorrowedFd<'_>, name: &CStr) -> Result<Cgroup> {
        match mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => Cgroup::open(parent, name),
            Err(errno) => Err(Error { what: "make a cgroup", errno }),
        }
    }

    /// Opens the cgroup `name` below `parent`.
    pub fn open(parent: BorrowedFd<'_>, name: &CStr) -> Result<Cgroup> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = openat(parent, name, flags, Mode::empty()).to("open a cgroup")?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let events = openat(&directory, c"cgroup.events", flags, Mode::empty())
            .to("open the events of a cgroup")?;
        Ok(Cgroup { directory, events })
    }

    /// Writes one of its control files: `set(c"memory.max", b"64M")`.
    pub fn set(&self, file: &CStr, value: &[u8]) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = openat(&self.directory, file, flags, Mode::empty())
            .to("open a control file of a cgroup")?;
        write(file, value).map(drop).to("write a control file of a cgroup")
    }

    /// Kills every process in it and below it.
    pub fn kill(&self) -> Result<()> {
        self.set(c"cgroup.kill", b"1")
    }

    /// Whether any process is in it.
    pub fn population(&self) -> Result<Population> {
        let mut text = [0; EVENTS_MAX];
        let length = pread(&self.events, &mut text, 0).to("read the events of a cgroup")?;
        Ok(parse_events(text.get(..length).unwrap_or_default()))
    }

    /// Raises POLLPRI whenever [`Cgroup::population`] has changed.
    pub fn events(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }

    /// Removes it with the cgroups that were made in it; fails with EBUSY while a process is in one.
    pub fn remove(parent: BorrowedFd<'_>, name: &CStr) -> Result<()> {
        remove_within(parent, name, DEPTH_MAX).to("remove a cgroup")
    }
}

/// A service that makes more levels than this in its cgroup keeps them.
const DEPTH_MAX: usize = 8;

fn remove_within(parent: BorrowedFd<'_>, name: &CStr, depth: usize) -> rustix::io::Result<()> {
    if let Some(depth) = depth.checked_sub(1) {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = openat(parent, name, flags, Mode::empty())?;
        for entry in Dir::read_from(&directory)?.flatten() {
            if entry.file_type() == FileType::Directory && !is_dots(entry.file_name()) {
                remove_within(directory.as_fd(), entry.file_name(), depth)?;
            }
        }
    }
    unlinkat(parent, name, AtFlags::REMOVEDIR)
}

fn is_dots(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

impl AsFd for Cgroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

fn parse_events(text: &[u8]) -> Population {
    if text.split(|&byte| byte == b'\n').any(|line| line == b"populated 0") {
        Population::Empty
    } else {
        Population::Populated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_zero_means_empty() {
        assert_eq!(parse_events(b"populated 0\nfrozen 0\n"), Population::Empty);
        assert_eq!(parse_events(b"frozen 0\npopulated 0"), Population::Empty);
        assert_eq!(parse_events(b"populated 1\nfrozen 0\n"), Population::Populated);
        assert_eq!(parse_events(b""), Population::Populated);
    }
}
