//! A release on disk: `root.img`, `root.tree` and `seal` in one directory, perhaps with `cuts`.

use crate::cuts::{self, CUTS};
use crate::erofs::format::BLOCK;
use crate::erofs::read::Image;
use crate::erofs::write::Layout;
use crate::error::Attempt;
use crate::parallel;
use crate::progress::{Phase, Progress};
use crate::scratch::{Guard, Guards};
use crate::spool::Spool;
use crate::{Error, Result};
use pintle_verify::verity::{self, Leaf, LeafHasher};
use pintle_verify::{Salt, Uuid};
use std::fs::{self, File, Permissions};
use std::io::{BufWriter, ErrorKind, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// The image.
pub const IMAGE: &str = "root.img";
/// Its hash tree.
pub const TREE: &str = "root.tree";
/// The signed statement about both.
pub const SEAL: &str = "seal";

/// The directory of a release that is named by itself or by one of its files.
///
/// # Errors
/// A file of another name stands beside a release at most; it is no part of it.
pub fn directory_of(path: &Path) -> Result<&Path> {
    let metadata = fs::metadata(path).attempt(|| format!("open {}", path.display()))?;
    let is_part = [IMAGE, TREE, SEAL].iter().any(|name| path.ends_with(name));
    match path.parent() {
        _ if metadata.is_dir() => Ok(path),
        Some(parent) if is_part && parent.as_os_str().is_empty() => Ok(Path::new(".")),
        Some(parent) if is_part => Ok(parent),
        _ => {
            let cause =
                format!("expected a release's directory, or {IMAGE}, {TREE} or {SEAL} in it");
            Err(Error::input(format!("use {} as a release", path.display()), cause))
        }
    }
}

/// Opens the image of a release that is named by its directory, or an image by itself.
///
/// # Errors
/// When it is no image.
pub fn open_image(path: &Path) -> Result<Image<File>> {
    Image::open(image_file(path)?)
        .map_err(|cause| Error::input(format!("use {} as an image", path.display()), cause))
}

/// The file of an image that is named as for [`open_image`].
pub fn image_file(path: &Path) -> Result<File> {
    let path = if path.is_dir() { path.join(IMAGE) } else { path.to_owned() };
    File::open(&path).attempt(|| format!("open {}", path.display()))
}

/// Blocks that a thread makes, writes and hashes at a time: 256 KiB stay in a core's own cache.
const RUN: usize = 64;

/// A release that is being written. Its files have other names until [`publish`](Self::publish),
/// and vanish without it.
pub struct Draft {
    directory: PathBuf,
    finished: Vec<(NamedTempFile, &'static str)>,
    guards: Guards,
}

impl Draft {
    /// Begins a release in `directory`, which is made if it is missing, and then vanishes again if
    /// nothing is published.
    pub fn within(directory: &Path) -> Result<Self> {
        let mut guards = Guards::default();
        missing(directory).into_iter().map(Guard::directory).for_each(|guard| guards.push(guard));
        fs::create_dir_all(directory).attempt(|| format!("make {}", directory.display()))?;
        Ok(Self { directory: directory.into(), finished: Vec::new(), guards })
    }

    /// Writes and hashes the image with all cores.
    pub fn write_image(
        &mut self,
        (layout, spool): (&Layout<'_>, &Spool),
        salt: &Salt,
        progress: &dyn Progress,
    ) -> Result<verity::Tree> {
        let mut leaves = vec![Leaf::default(); layout.blocks() as usize];
        let hasher = LeafHasher::new(salt);
        progress.begin(Phase::Write, Some(layout.blocks() * BLOCK));
        self.add(IMAGE, |file| {
            let runs = (0..).step_by(RUN).zip(leaves.chunks_mut(RUN));
            parallel::for_each(runs, Vec::new, |buffer, (first, leaves)| {
                buffer.resize(leaves.len() * verity::BLOCK, 0);
                layout.fill(spool, first, buffer)?;
                file.write_all_at(buffer, first * BLOCK).attempt(|| write_action(IMAGE))?;
                let blocks = buffer.as_chunks().0.iter();
                leaves.iter_mut().zip(blocks).for_each(|(leaf, block)| *leaf = hasher.leaf(block));
                progress.advance(buffer.len() as u64);
                Ok(())
            })
        })?;
        verity::Tree::from_leaves(*salt, leaves).map_err(|e| Error::input("hash the image", e))
    }

    /// Writes the hash tree.
    pub fn write_tree(&mut self, tree: &verity::Tree, uuid: Uuid) -> Result<()> {
        self.add(TREE, |file| {
            let mut out = BufWriter::new(file);
            let written = tree.write(&mut out, uuid).and_then(|()| out.flush());
            written.attempt(|| write_action(TREE))
        })
    }

    /// Writes where frames are to be cut.
    pub fn write_cuts(&mut self, cuts: &[u64]) -> Result<()> {
        let text = cuts::to_text(cuts);
        self.add(CUTS, |mut file| file.write_all(text.as_bytes()).attempt(|| write_action(CUTS)))
    }

    /// Writes the seal.
    pub fn write_seal(&mut self, seal: &[u8]) -> Result<()> {
        self.add(SEAL, |mut file| file.write_all(seal).attempt(|| write_action(SEAL)))
    }

    /// Gives the files their names, the seal's last: it must not speak for what is not there yet.
    pub fn publish(self) -> Result<()> {
        // An earlier release's, in the same directory.
        match fs::remove_file(self.directory.join(CUTS)) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            removed => removed.attempt(|| format!("remove {CUTS}"))?,
        }
        for (file, name) in self.finished {
            let persisted = file.persist(self.directory.join(name)).map_err(|error| error.error);
            persisted.attempt(|| format!("publish {name}"))?;
        }
        let synced = File::open(&self.directory).and_then(|directory| directory.sync_all());
        synced.attempt(|| format!("sync {}", self.directory.display()))
    }

    fn add(&mut self, name: &'static str, write: impl FnOnce(&File) -> Result<()>) -> Result<()> {
        let made = tempfile::Builder::new()
            .prefix(&format!(".{name}."))
            .permissions(Permissions::from_mode(0o644))
            .tempfile_in(&self.directory);
        let file = made.attempt(|| format!("make a file in {}", self.directory.display()))?;
        self.guards.push(Guard::file(file.path()));
        write(file.as_file())?;
        file.as_file().sync_all().attempt(|| write_action(name))?;
        self.finished.push((file, name));
        Ok(())
    }
}

/// The directories that there must be for `directory` and are not, the outermost first.
fn missing(directory: &Path) -> Vec<&Path> {
    let named = directory.ancestors().filter(|above| !above.as_os_str().is_empty());
    let mut missing: Vec<_> = named.take_while(|above| !above.exists()).collect();
    missing.reverse();
    missing
}

fn write_action(name: &str) -> String {
    format!("write {name}")
}
