//! A disk in memory that is found after a power cut, and mounted by what mounts it on a machine. Needs root.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use pintle_mount::{BlockDevice, state};
use rustix::fs::{MemfdFlags, memfd_create};
use tempfile::TempDir;

use crate::host::{program, run};

/// A loop device over memory.
#[derive(Debug)]
pub struct Disk {
    memory: File,
    device: String,
    folder: TempDir,
}

/// A disk whose file system is mounted.
#[derive(Debug)]
pub struct Mounted<'a> {
    disk: &'a Disk,
}

impl Disk {
    /// A disk of this many bytes.
    ///
    /// # Errors
    /// When there is no loop device for it.
    pub fn new(bytes: u64) -> Result<Disk> {
        let memory = File::from(memfd_create(c"disk", MemfdFlags::CLOEXEC)?);
        memory.set_len(bytes)?;
        let file = format!("/proc/{}/fd/{}", std::process::id(), memory.as_raw_fd());
        let _turn = turn();
        let device = run(program("losetup").args(["--find", "--show", &file]))?.trim().to_owned();
        Ok(Disk { memory, device, folder: TempDir::with_prefix("pintle-disk-")? })
    }

    /// Puts `content` on the disk and mounts it as stage 1 does, with its repair where that is needed.
    ///
    /// # Errors
    /// When it cannot be mounted.
    pub fn mount(&self, content: &[u8]) -> Result<Mounted<'_>> {
        self.memory.write_all_at(content, 0)?;
        let _turn = turn();
        let name = self.device.trim_start_matches("/dev/");
        let device = BlockDevice::of_sysfs(name).context("cannot find the loop device")?;
        state::mount(&device, self.folder.path(), &mut || ())
            .map_err(|error| anyhow::anyhow!("cannot mount what a cut left: {error}"))?;
        Ok(Mounted { disk: self })
    }
}

impl Mounted<'_> {
    /// Where it is mounted.
    pub fn root(&self) -> &Path {
        self.disk.folder.path()
    }

    /// Unmounts it.
    ///
    /// # Errors
    /// When it is busy.
    pub fn leave(&self) -> Result<()> {
        let _turn = turn();
        let flags = rustix::mount::UnmountFlags::empty();
        Ok(rustix::mount::unmount(self.root(), flags)?)
    }

    /// Unmounts it, and gives what is on the disk then.
    ///
    /// # Errors
    /// When it is busy.
    pub fn unmount(self) -> Result<Vec<u8>> {
        self.leave()?;
        let length = self.disk.memory.metadata()?.len();
        let mut content = vec![0; usize::try_from(length)?];
        self.disk.memory.read_exact_at(&mut content, 0)?;
        Ok(content)
    }
}

impl Drop for Mounted<'_> {
    /// What fails here must not hide why a test fails; mostly it is unmounted already.
    fn drop(&mut self) {
        let flags = rustix::mount::UnmountFlags::DETACH;
        rustix::mount::unmount(self.root(), flags).unwrap_or_default();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _turn = turn();
        drop(program("losetup").args(["--detach", &self.device]).output());
    }
}

/// A program that is started, a repair or losetup, has all descriptors of all threads until it is executed; what another
/// thread unmounts at that moment would be busy.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
