//! A release, made ready for a registry.

use std::fs::File;
use std::io::{BufWriter, Cursor, Read, Seek, Write};
use std::path::Path;

use pintle_registry::Settings;
use pintle_transfer::Blob;
use pintle_transfer::document::{ImageLayer, ReleaseManifest};
use pintle_transfer::frames::{Recipe, SeekTable, compress};
use pintle_verify::verity::Tree;
use pintle_verify::{Digest, Seal, Uuid, peek};
use sha2::{Digest as _, Sha256};

use super::deltas::{Delta, MadeDelta, Target};
use super::files;
use super::older::Older;
use super::settings::of_transfer;
use crate::cuts;
use crate::erofs::format::BLOCK;
use crate::error::{Attempt, Error, Result};
use crate::progress::{Phase, Progress};
use crate::release::{IMAGE, SEAL, TREE};
use crate::verify;

pub use pintle_transfer::frames::Effort;

/// How to publish.
#[derive(Clone, Copy)]
pub struct Options<'o> {
    /// How hard to compress.
    pub effort: Effort,
    /// What becomes of a tag that names a newer release.
    pub downgrade: Downgrade,
    /// Earlier releases that machines have, each with how it is reached: a delta is made from each.
    pub older: &'o [(Older, Settings)],
}

/// What becomes of a tag that names a newer release.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Downgrade {
    /// It stays.
    Refuse,
    /// It names the older one from then on.
    Push,
}

/// The blobs of a release.
pub(super) struct Prepared {
    seal: Seal,
    seal_file: Vec<u8>,
    tree: Vec<u8>,
    /// The image in frames, in a file without a name.
    frames: File,
    manifest: ReleaseManifest,
    deltas: Vec<MadeDelta>,
}

/// A blob's bytes.
pub(super) trait Content: Read + Seek {}
impl<T: Read + Seek> Content for T {}

/// What a release's seal says, whoever signed it.
pub(super) fn read_seal(directory: &Path) -> Result<Seal> {
    let bytes = verify::read_seal(&directory.join(SEAL))?;
    peek(&bytes).map_err(|cause| Error::input(format!("read {SEAL}"), cause))
}

impl Prepared {
    /// Checks that image, tree and seal belong together, and compresses the image.
    pub(super) fn make(
        directory: &Path,
        options: &Options<'_>,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let seal_file = verify::read_seal(&directory.join(SEAL))?;
        let seal = read_seal(directory)?;
        let tree = checked_tree(directory, &seal)?;
        verify::verify_image(&directory.join(IMAGE), &seal, tree.leaves(), progress)?;
        let mut tree_file = Vec::new();
        let uuid = Uuid::of_image_id(&seal.image_id);
        tree.write(&mut tree_file, uuid).attempt(|| format!("write {TREE}"))?;
        let path = directory.join(IMAGE);
        let cuts = cuts::read(directory)?;
        let (frames, image, table) = compressed((&path, &cuts), options.effort, progress)?;
        let target = Target { path: &path, leaves: tree.leaves(), table: &table, seal: &seal };
        let deltas = target.deltas_from(options.older, progress)?;
        let manifest = ReleaseManifest {
            seal: blob_of(&seal_file),
            tree: blob_of(&tree_file),
            image,
            deltas: deltas.iter().filter_map(MadeDelta::layer).collect(),
        };
        Ok(Self { seal, seal_file, tree: tree_file, frames, manifest, deltas })
    }

    pub(super) fn seal(&self) -> &Seal {
        &self.seal
    }

    /// What became of the deltas.
    pub(super) fn deltas(&self) -> Vec<Delta> {
        self.deltas.iter().map(|made| made.delta.clone()).collect()
    }

    /// The release's manifest.
    pub(super) fn manifest(&self) -> Vec<u8> {
        self.manifest.to_bytes()
    }

    /// Bytes of all blobs.
    pub(super) fn size(&self) -> u64 {
        let ReleaseManifest { seal, tree, image, deltas } = &self.manifest;
        let deltas: u64 = deltas.iter().map(|delta| delta.blob.size).sum();
        seal.size + tree.size + image.blob.size + deltas
    }

    /// The blobs, the small ones first.
    pub(super) fn blobs(&self) -> Result<Vec<(Blob, Box<dyn Content + '_>)>> {
        let frames = rewound(&self.frames)?;
        let mut blobs: Vec<(Blob, Box<dyn Content + '_>)> = vec![
            (self.manifest.seal, Box::new(Cursor::new(&self.seal_file))),
            (self.manifest.tree, Box::new(Cursor::new(&self.tree))),
            (self.manifest.image.blob, Box::new(frames)),
        ];
        for made in &self.deltas {
            if let Some(layer) = made.layer() {
                blobs.push((layer.blob, Box::new(rewound(&made.file)?)));
            }
        }
        Ok(blobs)
    }
}

/// The tree of a release, if it is the one that the seal names.
fn checked_tree(directory: &Path, seal: &Seal) -> Result<Tree> {
    let leaves = verify::read_leaves(&directory.join(TREE), seal)?;
    let wrong = |cause: String| Error::input(format!("push {TREE}"), cause);
    let tree = Tree::from_leaves(seal.salt, leaves).map_err(|cause| wrong(cause.to_string()))?;
    match tree.root() == seal.root_hash {
        true => Ok(tree),
        false => Err(wrong("it is not the tree that the seal names".to_owned())),
    }
}

fn compressed(
    (path, cuts): (&Path, &[u64]),
    effort: Effort,
    progress: &dyn Progress,
) -> Result<(File, ImageLayer, SeekTable)> {
    let action = || format!("compress {}", path.display());
    let image = File::open(path).attempt(action)?;
    let size = image.metadata().attempt(action)?.len();
    progress.begin(Phase::Compress, Some(size));
    let file = tempfile::tempfile().attempt(action)?;
    let mut out = Hashing::new(BufWriter::new(&file));
    let starts = files::starts(&image);
    let told = |blocks| progress.advance(blocks * BLOCK);
    let recipe = Recipe { starts: &starts, cuts, effort, progress: &told };
    let table = compress(&image, size / BLOCK, &recipe, &mut out).map_err(of_transfer)?;
    let blob = out.blob().attempt(action)?;
    Ok((file, ImageLayer { blob, seek_table: table.frames_size() }, table))
}

/// The same file, to be read from its beginning.
fn rewound(file: &File) -> Result<File> {
    let rewind = || {
        let mut file = file.try_clone()?;
        file.rewind().map(|()| file)
    };
    rewind().attempt(|| "read a blob".to_owned())
}

fn blob_of(bytes: &[u8]) -> Blob {
    Blob { digest: Digest::of(bytes), size: bytes.len() as u64 }
}

/// What is written, with its digest.
pub(super) struct Hashing<W> {
    out: W,
    hash: Sha256,
    size: u64,
}

impl<W: Write> Hashing<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, hash: Sha256::new(), size: 0 }
    }

    pub(super) fn blob(mut self) -> std::io::Result<Blob> {
        self.out.flush()?;
        Ok(Blob { digest: Digest::from_bytes(self.hash.finalize().into()), size: self.size })
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}
