//! A state partition as a machine finds it on its disk, put together on the host.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::{NamedTempFile, TempDir};

use crate::host::{program, run};
use crate::release::Release;
use crate::vm::Disk;

/// Room for three Debian images; the file is sparse.
const SIZE: &str = "768M";

/// The files of a state partition. They are copies: a story may change them as it likes.
#[derive(Debug)]
pub struct State {
    folder: TempDir,
}

/// A disk with a state partition and nothing else: the file system fills it.
#[derive(Debug)]
pub struct StateDisk {
    file: NamedTempFile,
}

impl State {
    /// A state partition without images.
    pub fn new() -> Result<State> {
        let folder = TempDir::with_prefix("pintle-state-")?;
        fs::create_dir(folder.path().join("images"))?;
        Ok(State { folder })
    }

    /// With this release installed as `entry`, such as `42_1.4.0+3-0`.
    pub fn with(self, entry: &str, release: &Release) -> Result<State> {
        let to = self.entry(entry);
        run(program("cp").args(["--recursive", "--reflink=auto"]).arg(release.folder()).arg(to))?;
        Ok(self)
    }

    /// The folder of an installed release.
    pub fn entry(&self, entry: &str) -> PathBuf {
        self.path("images").join(entry)
    }

    /// A path below the partition's root.
    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Writes the file system onto a disk of its own.
    ///
    /// # Errors
    /// When mke2fs fails.
    pub fn disk(&self) -> Result<StateDisk> {
        let file = tempfile::Builder::new().prefix("pintle-disk-").tempfile()?;
        run(program("mke2fs")
            .args(["-q", "-F", "-t", "ext4", "-b", "4096", "-O", "verity", "-L", "pintle-state"])
            .args(["-E", "root_owner=0:0", "-d"])
            .args([self.folder.path(), file.path()])
            .arg(SIZE))?;
        Ok(StateDisk { file })
    }
}

impl StateDisk {
    /// The disk for a machine, which keeps what it writes.
    pub fn disk(&self) -> Disk {
        Disk::keeping(self.file.path())
    }

    /// The names in a folder, in order; for after the machine has unmounted it.
    pub fn names_in(&self, folder: &str) -> Result<Vec<String>> {
        let listing = self.debugfs(&format!("ls -p {folder}"))?;
        let names = listing.lines().filter_map(|line| line.split('/').nth(5));
        let mut names =
            names.filter(|name| !matches!(*name, "." | "..")).map(Into::into).collect::<Vec<_>>();
        names.sort();
        Ok(names)
    }

    /// A file's content; for after the machine has unmounted it.
    pub fn read(&self, path: &str) -> Result<String> {
        self.debugfs(&format!("cat {path}"))
    }

    /// Fails unless the file system was left clean and nothing is wrong with it.
    pub fn check(&self) -> Result<()> {
        let superblock = run(program("dumpe2fs").arg("-h").arg(self.path()))?;
        let state = superblock.lines().find(|line| line.starts_with("Filesystem state:"));
        let state = state.unwrap_or_default().rsplit(' ').next();
        anyhow::ensure!(state == Some("clean"), "the state file system is not clean: {superblock}");
        anyhow::ensure!(!superblock.contains("needs_recovery"), "its journal is not empty");
        run(program("e2fsck").arg("-fn").arg(self.path())).map(drop).context("it is damaged")
    }

    /// Where the disk's bytes are.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    fn debugfs(&self, request: &str) -> Result<String> {
        run(program("debugfs").args(["-R", request]).arg(self.path()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_holds_what_was_put_into_the_state() -> Result<()> {
        let state = State::new()?;
        fs::create_dir(state.entry("42_1.4.0+3-0"))?;
        fs::write(state.entry("42_1.4.0+3-0").join("seal"), "a seal")?;
        let disk = state.disk()?;
        assert_eq!(disk.names_in("/images")?, ["42_1.4.0+3-0"]);
        assert_eq!(disk.read("/images/42_1.4.0+3-0/seal")?, "a seal");
        disk.check()
    }

    #[test]
    fn a_damaged_disk_is_told_from_a_good_one() -> Result<()> {
        let disk = State::new()?.disk()?;
        run(program("debugfs").args(["-w", "-R", "clri /images"]).arg(disk.path()))?;
        assert!(disk.check().is_err());
        Ok(())
    }
}
