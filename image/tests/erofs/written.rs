//! Images on disk.

use pintle_image::erofs::format::BLOCK;
use pintle_image::erofs::write::Layout;
use pintle_image::spool::Spool;
use pintle_image::tree::Tree;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A tree written as an image, in a directory of its own.
pub struct Written {
    directory: TempDir,
}

impl Written {
    pub fn new(tree: &Tree, spool: &Spool) -> Self {
        let written = Self { directory: TempDir::new().unwrap() };
        let mut file = File::create(written.path()).unwrap();
        let layout = Layout::of(tree, [7; 16]).unwrap();
        let mut buffer = vec![0; 64 * BLOCK as usize];
        for first in (0..layout.blocks()).step_by(64) {
            layout.fill(spool, first, &mut buffer).unwrap();
            let blocks = (layout.blocks() - first).min(64);
            file.write_all(&buffer[..(blocks * BLOCK) as usize]).unwrap();
        }
        written
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("root.img")
    }

    pub fn open(&self) -> File {
        File::open(self.path()).unwrap()
    }

    /// What `fsck.erofs` of erofs-utils says after reading every byte of it.
    pub fn fsck(&self) {
        run(Command::new("fsck.erofs").arg("--extract").arg(self.path()));
    }

    /// Mounts it for as long as the value lives. Needs root and a kernel with file-backed EROFS
    /// (6.12).
    pub fn mount(&self) -> Mounted {
        let at = self.directory.path().join("mnt");
        std::fs::create_dir(&at).unwrap();
        run(Command::new("mount").args(["-t", "erofs", "-o", "ro"]).arg(self.path()).arg(&at));
        Mounted { at }
    }
}

/// A mounted image.
pub struct Mounted {
    at: PathBuf,
}

impl Mounted {
    pub fn path(&self) -> &Path {
        &self.at
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        run(Command::new("umount").arg(&self.at));
    }
}

pub fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success(),
        "{command:?}: {}: {}",
        output.status,
        String::from_utf8_lossy(&said)
    );
}
