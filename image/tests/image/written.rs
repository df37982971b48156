//! Images on disk.

use pintle_image::erofs::format::BLOCK;
use pintle_image::erofs::write::Layout;
use pintle_image::spool::Spool;
use pintle_image::tree::Tree;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A tree written as an image, in a directory of its own.
pub(crate) struct Written {
    directory: TempDir,
}

impl Written {
    pub(crate) fn new(tree: &Tree, spool: &Spool) -> Self {
        let layout = Layout::of(tree, [7; 16]).unwrap();
        Self::of(&image_bytes(&layout, spool, 64))
    }

    pub(crate) fn of(image: &[u8]) -> Self {
        let written = Self { directory: TempDir::new().unwrap() };
        std::fs::write(written.path(), image).unwrap();
        written
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("root.img")
    }

    pub(crate) fn open(&self) -> File {
        File::open(self.path()).unwrap()
    }

    /// What `fsck.erofs` of erofs-utils says after reading every byte of it.
    pub(crate) fn fsck(&self) {
        run(Command::new("fsck.erofs").arg("--extract").arg(self.path()));
    }

    /// Mounts it for as long as the value lives. Needs root and a kernel with file-backed EROFS
    /// (6.12).
    pub(crate) fn mount(&self) -> Mounted {
        let at = self.directory.path().join("mnt");
        std::fs::create_dir(&at).unwrap();
        run(Command::new("mount").args(["-t", "erofs", "-o", "ro"]).arg(self.path()).arg(&at));
        Mounted { at }
    }
}

/// An image made in steps of so many blocks.
pub(crate) fn image_bytes(layout: &Layout<'_>, spool: &Spool, step: u64) -> Vec<u8> {
    let mut bytes = vec![0xff; (layout.blocks() * BLOCK) as usize];
    for (first, part) in (0..).step_by(step as usize).zip(bytes.chunks_mut((step * BLOCK) as usize))
    {
        layout.fill(spool, first, part).unwrap();
    }
    bytes
}

/// A mounted image.
pub(crate) struct Mounted {
    at: PathBuf,
}

impl Mounted {
    pub(crate) fn path(&self) -> &Path {
        &self.at
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        run(Command::new("umount").arg(&self.at));
    }
}

pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success(),
        "{command:?}: {}: {}",
        output.status,
        String::from_utf8_lossy(&said)
    );
}
