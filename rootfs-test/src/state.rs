//! A state partition as a machine finds it on its disk, put together on the host.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::{NamedTempFile, TempDir};

use crate::host::{program, run};
use crate::release::Release;
use crate::vm::Disk;

/// Room for three Debian images; the file is sparse.
const SIZE: &str = "768M";

/// The file system's block size in bytes: fs-verity wants the page size.
const BLOCK: u64 = 4096;

/// `EXT4_VERITY_FL` of fs/ext4/ext4.h.
const VERITY_FL: u32 = 0x0010_0000;

/// The files of a state partition. They are copies: a story may change them as it likes.
#[derive(Debug)]
pub struct State {
    folder: TempDir,
}

/// An ext4 file system that fills a disk.
#[derive(Debug)]
pub struct Ext4 {
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
        release.copy_to(&self.entry(entry))?;
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
    pub fn disk(&self) -> Result<Ext4> {
        Ext4::of(self.folder.path(), "pintle-state")
    }
}

impl Ext4 {
    /// A file system with a folder's content. A machine finds it by its label.
    ///
    /// # Errors
    /// When mke2fs fails.
    pub fn of(folder: &Path, label: &str) -> Result<Ext4> {
        let file = tempfile::Builder::new().prefix("pintle-disk-").tempfile()?;
        run(program("mke2fs")
            .args(["-q", "-F", "-t", "ext4", "-b", "4096", "-O", "verity", "-L", label])
            .args(["-E", "root_owner=0:0", "-d"])
            .args([folder, file.path()])
            .arg(SIZE))?;
        Ok(Ext4 { file })
    }

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

    /// Whether the kernel checks a file's blocks by fs-verity (EXT4_VERITY_FL).
    pub fn is_sealed_by_fsverity(&self, path: &str) -> Result<bool> {
        let stat = self.debugfs(&format!("stat {path}"))?;
        let flags = stat.split("Flags: 0x").nth(1).and_then(|rest| rest.split_whitespace().next());
        let flags = u32::from_str_radix(flags.context("debugfs shows no flags")?, 16)?;
        Ok(flags & VERITY_FL != 0)
    }

    /// Changes one bit of a file on the disk itself, past the file system.
    pub fn flip(&self, path: &str, offset: u64) -> Result<()> {
        let blocks = self.debugfs(&format!("blocks {path}"))?;
        let index = usize::try_from(offset / BLOCK)?;
        let block: u64 = blocks.split_whitespace().nth(index).context("no such block")?.parse()?;
        let position = block * BLOCK + offset % BLOCK;
        let mut byte = [0];
        self.file.as_file().read_exact_at(&mut byte, position)?;
        Ok(self.file.as_file().write_all_at(&[byte[0] ^ 1], position)?)
    }

    /// Sets a folder's immutable attribute (chattr(1)): no name in it can be changed any more.
    pub fn make_immutable(&self, folder: &str) -> Result<()> {
        let request = format!("set_inode_field {folder} flags 0x80010");
        run(program("debugfs").args(["-w", "-R", &request]).arg(self.path())).map(drop)
    }

    /// Fails unless the file system was left clean and nothing is wrong with it.
    pub fn check(&self) -> Result<()> {
        let superblock = run(program("dumpe2fs").arg("-h").arg(self.path()))?;
        let state = superblock.lines().find(|line| line.starts_with("Filesystem state:"));
        let state = state.unwrap_or_default().rsplit(' ').next();
        anyhow::ensure!(state == Some("clean"), "the state file system is not clean: {superblock}");
        anyhow::ensure!(!superblock.contains("needs_recovery"), "its journal is not empty");
        self.check_content()
    }

    /// Fails if anything is wrong with the file system, whatever its superblock says about it.
    pub fn check_content(&self) -> Result<()> {
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
    fn a_flipped_bit_is_in_the_file() -> Result<()> {
        let state = State::new()?;
        fs::write(state.path("images/file"), vec![b'a'; 9000])?;
        let disk = state.disk()?;
        disk.flip("/images/file", 8200)?;
        let content = disk.read("/images/file")?;
        assert_eq!(content.find(|byte| byte != 'a'), Some(8200));
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
