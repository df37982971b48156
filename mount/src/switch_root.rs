//! Leaving the initramfs.
//!
//! Source: kernel documentation filesystems/ramfs-rootfs-initramfs; pivot_root(2).

use crate::error::Result;
use pintle_sys::{self as sys, Purpose};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, open, openat, statat, unlinkat};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, mount_move, unmount};
use rustix::process::{chdir, chroot, pivot_root};
use std::path::Path;

/// What moves along with the machine.
const MOVED: [&str; 4] = ["/dev", "/proc", "/sys", "/run"];

/// An initramfs has a handful of levels; deeper than this is a mistake, and recursion is bounded.
const DEPTH_MAX: usize = 32;

/// Makes `new_root` the root of the machine and gives the initramfs's memory back. The running
/// executable stays usable: its memory goes when it ends.
pub fn switch_root(new_root: &Path) -> Result<()> {
    for from in MOVED {
        let to = new_root.join(from.trim_start_matches('/'));
        mount_move(from, to).to("move a mount into the new root")?;
    }
    chdir(new_root).to("enter the new root")?;
    match pivot_root(".", ".") {
        // The old root now lies over the new one.
        Ok(()) => unmount(".", UnmountFlags::DETACH).to("let go of the initramfs")?,
        // A root that is the initramfs itself cannot be pivoted away before Linux 7.0.
        Err(Errno::INVAL) => move_over()?,
        Err(errno) => Err(errno).to("pivot to the new root")?,
    }
    chdir("/").to("enter the new root").map_err(Into::into)
}

fn move_over() -> sys::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let old = open("/", flags, Mode::empty()).to("open the initramfs")?;
    mount_move(".", "/").to("move the new root over the old one")?;
    chroot(".").to("change to the new root")?;
    empty(&old).to("free the initramfs")
}

/// Removes all that is in the file system of `root`, and nothing beyond it.
fn empty(root: &OwnedFd) -> rustix::io::Result<()> {
    let device = rustix::fs::fstat(root)?.st_dev;
    empty_directory(root.as_fd(), device, DEPTH_MAX)
}

fn empty_directory(directory: BorrowedFd<'_>, device: u64, depth: usize) -> rustix::io::Result<()> {
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        match entry.file_type() {
            FileType::Directory => remove_directory(directory, name, (device, depth))?,
            _ => unlinkat(directory, name, AtFlags::empty())?,
        }
    }
    Ok(())
}

/// A directory that a mount stands on, or that is too deep, stays.
fn remove_directory(
    parent: BorrowedFd<'_>,
    name: &std::ffi::CStr,
    (device, depth): (u64, usize),
) -> rustix::io::Result<()> {
    let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let (true, Some(depth)) = (stat.st_dev == device, depth.checked_sub(1)) else {
        return Ok(());
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = openat(parent, name, flags, Mode::empty())?;
    empty_directory(directory.as_fd(), device, depth)?;
    match unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOTEMPTY | Errno::BUSY) => Ok(()),
        outcome => outcome,
    }
}
