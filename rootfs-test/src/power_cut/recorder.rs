//! A disk that remembers what it is told, with a mounted ext4 on it. Needs root.
//!
//! qemu-storage-daemon's `blklogwrites` writes the log; its FUSE export shows the disk as a file, which is mounted by loop. The
//! daemon serves one request after the other, so that the log has them in the order in which they were answered.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use super::write_log::{self, Entry};
use crate::host::{program, run};

/// An ext4 whose disk is recorded, from before it is mounted.
#[derive(Debug)]
pub struct Recorder {
    folder: TempDir,
    daemon: Child,
}

impl Recorder {
    /// Mounts `disk`, the bytes of an ext4, with these options of mount(8).
    ///
    /// # Errors
    /// When the daemon does not start, or the kernel does not mount.
    pub fn start(disk: &[u8], options: &str) -> Result<Recorder> {
        let folder = TempDir::with_prefix("pintle-recorder-")?;
        fs::create_dir(folder.path().join("root"))?;
        fs::write(folder.path().join("disk"), disk)?;
        for empty in ["log", "export"] {
            fs::write(folder.path().join(empty), "")?;
        }
        let daemon = start_daemon(folder.path())?;
        let recorder = Recorder { folder, daemon };
        let options = format!("loop,{options}");
        let (export, root) = (recorder.path("export"), recorder.root());
        run(program("mount").args(["-t", "ext4", "-o", &options]).args([export, root]))?;
        Ok(recorder)
    }

    /// Where the file system is mounted.
    pub fn root(&self) -> PathBuf {
        self.path("root")
    }

    /// How many requests the disk has answered.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn position(&self) -> Result<usize> {
        Ok(self.entries()?.len())
    }

    /// What the disk was told so far, of which the end may be what unmounting wrote.
    ///
    /// # Errors
    /// When the log cannot be read, or the file system not be unmounted.
    pub fn stop(self) -> Result<Vec<Entry>> {
        run(program("umount").arg(self.root()))?;
        self.entries()
    }

    fn entries(&self) -> Result<Vec<Entry>> {
        write_log::parse(&fs::read(self.path("log"))?)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // Nothing is left to unmount where the recording was stopped; what fails here must not hide why a test fails.
        drop(program("umount").args(["--lazy", "--quiet"]).arg(self.root()).output());
        drop(self.daemon.kill());
        drop(self.daemon.wait());
    }
}

/// The host's own disk need not flush for the recorded one: nobody cuts the host's power.
fn start_daemon(folder: &Path) -> Result<Child> {
    let file = |node: &str| {
        let path = folder.join(node);
        format!("file,node-name={node},cache.no-flush=on,filename={}", path.display())
    };
    let export = format!(
        "fuse,id=export,node-name=recorded,writable=on,mountpoint={}",
        folder.join("export").display()
    );
    let mut daemon = program("qemu-storage-daemon")
        .args(["--blockdev", &file("disk"), "--blockdev", &file("log")])
        .args(["--blockdev", "blklogwrites,node-name=recorded,file=disk,log=log"])
        .args(["--export", &export])
        .args(["--chardev", "stdio,id=monitor", "--monitor", "chardev=monitor"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start qemu-storage-daemon")?;
    wait_for_greeting(&mut daemon)?;
    Ok(daemon)
}

/// The options are obeyed in their order, the monitor's last: when it greets, the export is there.
fn wait_for_greeting(daemon: &mut Child) -> Result<()> {
    let mut greeting = String::new();
    let output = daemon.stdout.as_mut().context("cannot read qemu-storage-daemon's output")?;
    BufReader::new(output).read_line(&mut greeting)?;
    ensure!(greeting.contains("\"QMP\""), "cannot record a disk: qemu-storage-daemon says nothing");
    Ok(())
}
