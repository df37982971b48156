//! Earlier releases, which deltas are made from.

use std::convert::Infallible;
use std::fmt;
use std::fs::File;
use std::io::{BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::str::FromStr;

use pintle_registry::{Answer, Blob as RegistryBlob, Client, Reference, Settings};
use pintle_transfer::document::{Index, ReleaseManifest};
use pintle_verify::verity::{Leaf, LeafHasher, Tree};
use pintle_verify::{Architecture, Seal, peek};

use super::prepared::read_seal;
use super::settings::{explain, of_transfer};
use crate::error::{Attempt, Error, Result};
use crate::progress::{Phase, Progress};
use crate::release::{IMAGE, TREE};
use crate::verify;

/// Where an earlier release is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Older {
    /// In a directory.
    Directory(PathBuf),
    /// In a registry.
    Registry(Reference),
}

/// An earlier release, proven to be what its seal says.
pub(super) struct Release {
    pub(super) seal: Seal,
    pub(super) image: File,
    pub(super) leaves: Vec<Leaf>,
}

impl FromStr for Older {
    type Err = Infallible;

    /// What is no directory and can be a reference is one.
    fn from_str(text: &str) -> std::result::Result<Self, Infallible> {
        let path = PathBuf::from(text);
        Ok(match text.parse() {
            Ok(reference) if !path.is_dir() => Self::Registry(reference),
            Ok(_) | Err(_) => Self::Directory(path),
        })
    }
}

impl fmt::Display for Older {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(f),
            Self::Registry(reference) => reference.fmt(f),
        }
    }
}

impl Older {
    /// Its name, if it is in a registry.
    pub fn reference(&self) -> Option<&Reference> {
        match self {
            Self::Registry(reference) => Some(reference),
            Self::Directory(_) => None,
        }
    }

    pub(super) fn read(
        &self,
        architecture: Architecture,
        settings: &Settings,
        progress: &dyn Progress,
    ) -> Result<Release> {
        match self {
            Self::Directory(path) if !path.is_dir() => Err(Error::input(
                format!("make a delta from {self}"),
                "it is no directory, and no HOST/REPOSITORY:TAG, with a host that has a dot or a port",
            )),
            Self::Directory(path) => {
                let seal = read_seal(path)?;
                let leaves = verify::read_leaves(&path.join(TREE), &seal)?;
                verify::verify_image(&path.join(IMAGE), &seal, &leaves, progress)?;
                let image = File::open(path.join(IMAGE)).attempt(|| format!("open {self}"))?;
                Release { seal, image, leaves }.checked(self)
            }
            Self::Registry(reference) => {
                let client = Client::new(settings.clone()).map_err(|cause| explain(&cause))?;
                Published { client, reference }.read(architecture, progress)?.checked(self)
            }
        }
    }
}

impl Release {
    fn checked(self, older: &Older) -> Result<Self> {
        let tree = Tree::from_leaves(self.seal.salt, self.leaves.clone());
        match tree.is_ok_and(|tree| tree.root() == self.seal.root_hash) {
            true => Ok(self),
            false => {
                let cause = "its image is not the one that its seal names";
                Err(Error::input(format!("use {older}"), cause))
            }
        }
    }
}

/// A release in a registry.
struct Published<'p> {
    client: Client,
    reference: &'p Reference,
}

impl Published<'_> {
    fn read(mut self, architecture: Architecture, progress: &dyn Progress) -> Result<Release> {
        let index = Index::parse(&self.manifest(self.reference)?).map_err(of_transfer)?;
        let release = index.release(architecture).map_err(of_transfer)?;
        let manifest = self.manifest(&self.reference.with_digest(release.digest))?;
        let manifest = ReleaseManifest::parse(&manifest).map_err(of_transfer)?;
        let seal = RegistryBlob { digest: manifest.seal.digest, size: manifest.seal.size };
        let seal = self.client.blob(self.reference, seal).map_err(|cause| explain(&cause))?;
        let seal = peek(&seal).map_err(|cause| Error::input("read its seal", cause))?;
        let image = tempfile::tempfile().attempt(|| "keep an earlier image".to_owned())?;
        let leaves = self.image((&manifest, &seal), &image, progress)?;
        Ok(Release { seal, image, leaves })
    }

    fn manifest(&mut self, reference: &Reference) -> Result<Vec<u8>> {
        match self.client.manifest(reference, None).map_err(|cause| explain(&cause))? {
            Answer::Manifest { bytes, .. } => Ok(bytes),
            Answer::Unchanged => Err(Error::input(format!("read {reference}"), "it is not sent")),
        }
    }

    /// Writes the image, and gives the leaves of what came.
    fn image(
        &mut self,
        (manifest, seal): (&ReleaseManifest, &Seal),
        to: &File,
        progress: &dyn Progress,
    ) -> Result<Vec<Leaf>> {
        let action = || "fetch an earlier image".to_owned();
        let layer = manifest.image;
        let blob = RegistryBlob { digest: layer.blob.digest, size: layer.blob.size };
        progress.begin(Phase::Fetch, Some(seal.image_size));
        let frames = self.client.range(self.reference, blob, 0..layer.seek_table);
        let frames = BufReader::new(frames.map_err(|cause| explain(&cause))?);
        let mut content = zstd::Decoder::with_buffer(frames).attempt(action)?;
        let hasher = LeafHasher::new(&seal.salt);
        let mut block = [0; pintle_verify::verity::BLOCK];
        let mut leaves = Vec::new();
        for at in (0..seal.image_size).step_by(block.len()) {
            content.read_exact(&mut block).attempt(action)?;
            to.write_all_at(&block, at).attempt(action)?;
            leaves.push(hasher.leaf(&block));
            progress.advance(block.len() as u64);
        }
        Ok(leaves)
    }
}
