//! A real ext4 on a loop device, and what a power cut would leave of it. Needs root.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

use tempfile::TempDir;

/// An ext4, mounted; unmounted when dropped.
pub(crate) struct Ext4 {
    /// What the disk is on, if it lies about its size.
    _space: Option<Tmpfs>,
    directory: TempDir,
}

impl Ext4 {
    /// Makes an empty one.
    pub(crate) fn new(mebibytes: u64) -> Self {
        Self { _space: None, directory: tempfile::tempdir().unwrap() }.made(mebibytes)
    }

    /// Makes one on a disk that has less than it says: what is written beyond fails, but only when
    /// it is written back.
    pub(crate) fn on_a_disk_that_lies(mebibytes: u64, really: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let space = Some(Tmpfs::over(directory.path(), really));
        Self { _space: space, directory }.made(mebibytes)
    }

    fn made(self, mebibytes: u64) -> Self {
        fs::File::create(self.disk()).unwrap().set_len(mebibytes << 20).unwrap();
        run("mkfs.ext4", &["-q", "-m0", "-b4096", text(&self.disk())]);
        self.mount();
        self
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("mnt")
    }

    /// The file that plays the disk.
    pub(crate) fn disk(&self) -> PathBuf {
        self.directory.path().join("disk")
    }

    /// The root directory.
    pub(crate) fn root(&self) -> OwnedFd {
        open_directory(&self.path())
    }

    /// A copy of the disk as it would be found if the power failed now, mounted.
    ///
    /// The journal is written every hour only, so that nothing but a sync brings a change here.
    pub(crate) fn after_a_cut(&self) -> Self {
        let copy = Self { _space: None, directory: tempfile::tempdir().unwrap() };
        fs::copy(self.disk(), copy.disk()).unwrap();
        copy.mount();
        copy
    }

    fn mount(&self) {
        fs::create_dir(self.path()).unwrap();
        let options = "loop,commit=3600,nodiscard";
        run("mount", &["-o", options, text(&self.disk()), text(&self.path())]);
    }
}

impl Drop for Ext4 {
    fn drop(&mut self) {
        unmount(&[text(&self.path())]);
    }
}

/// A tmpfs over a directory.
struct Tmpfs {
    path: PathBuf,
}

impl Tmpfs {
    fn over(path: &Path, mebibytes: u64) -> Self {
        let size = format!("size={mebibytes}m");
        run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", text(path)]);
        Self { path: path.to_owned() }
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // The loop device lets go of the disk a moment after its file system is unmounted.
        unmount(&["--lazy", text(&self.path)]);
    }
}

/// A test that fails already is not to be aborted for this.
fn unmount(arguments: &[&str]) {
    if !std::thread::panicking() {
        return run("umount", arguments);
    }
    if let Err(error) = one_at_a_time(Command::new("umount").args(arguments)) {
        eprintln!("umount {arguments:?}: {error}");
    }
}

/// Opens a directory for a store.
pub(crate) fn open_directory(path: &Path) -> OwnedFd {
    fs::File::open(path).unwrap().as_fd().try_clone_to_owned().unwrap()
}

/// Runs a program that must succeed.
pub(crate) fn run(program: &str, arguments: &[&str]) {
    let output = one_at_a_time(Command::new(program).args(arguments)).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
}

/// A child has all descriptors of all tests until it executes its program; what another test
/// unmounts at that moment would be busy.
fn one_at_a_time(command: &mut Command) -> io::Result<Output> {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    command.output()
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
