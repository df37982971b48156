//! What a tag names, with a release put into it.

use pintle_transfer::Blob;
use pintle_transfer::document::{Container, INDEX, Index, Platform, ReleaseManifest};
use pintle_verify::{Architecture, Digest, Seal, peek};
use serde_json::Value;

use super::place::{Kind, Opened, Tagged};
use super::prepared::Downgrade;
use super::settings::of_transfer;
use crate::error::{Error, Result};

/// A tag as it is now.
pub(super) struct Tag {
    index: Index,
    /// Of what it names, which may be a single container image.
    digest: Option<Digest>,
    /// The seals of its releases.
    seals: Vec<Seal>,
}

impl Tag {
    /// Reads it, and the seals of the releases that it names.
    pub(super) fn read(opened: &mut Opened) -> Result<Self> {
        let Some(tagged) = opened.tagged()? else {
            return Ok(Self { index: Index::empty(), digest: None, seals: Vec::new() });
        };
        let digest = Some(tagged.digest);
        let index = match Kind::of(&tagged.media_type) {
            Some(Kind::Index) => index(&tagged)?,
            Some(Kind::Manifest) => of_one(&tagged, opened)?,
            None => {
                let cause = format!("it names {}, which is no image", tagged.media_type);
                return Err(Error::input("use the tag", cause));
            }
        };
        let seals = seals(&index, opened)?;
        Ok(Self { index, digest, seals })
    }

    /// Of what it names; nothing where nobody has pushed to it.
    pub(super) fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Whether machines that follow the tag would take a release with this seal for what comes next.
    ///
    /// # Errors
    /// When what is there is newer, unless that is wanted, or another image with the same sequence.
    pub(super) fn admits(&self, seal: &Seal, downgrade: Downgrade) -> Result<()> {
        let same = |there: &&Seal| there.architecture == seal.architecture;
        let Some(there) = self.seals.iter().find(same) else { return Ok(()) };
        let refused = |cause: String| Err(Error::input("push this release", cause));
        if there.sequence == seal.sequence && there.root_hash != seal.root_hash {
            return refused(format!(
                "the tag has another image with sequence {}, {}; build with a higher --sequence",
                there.sequence, there.version
            ));
        }
        if there.sequence > seal.sequence && downgrade == Downgrade::Refuse {
            return refused(format!(
                "the tag has {} with sequence {}, and machines do not go back to {} by themselves; \
                 build with a higher --sequence, or say --force",
                there.version, there.sequence, seal.sequence
            ));
        }
        Ok(())
    }

    /// The index with this release in it.
    pub(super) fn with(self, architecture: Architecture, manifest: &[u8]) -> Index {
        let blob = Blob { digest: Digest::of(manifest), size: manifest.len() as u64 };
        let mut index = self.index;
        index.put_release(architecture, blob);
        index
    }
}

/// A list of docker's is an index by another name.
fn index(tagged: &Tagged) -> Result<Index> {
    if tagged.media_type == INDEX {
        return Index::parse(&tagged.bytes).map_err(of_transfer);
    }
    let mut list: Value = serde_json::from_slice(&tagged.bytes)
        .map_err(|cause| Error::input("read the tag's list of images", cause))?;
    if let Some(media_type) = list.get_mut("mediaType") {
        *media_type = INDEX.into();
    }
    Index::parse(list.to_string().as_bytes()).map_err(of_transfer)
}

/// An index of a container image that stood alone.
fn of_one(tagged: &Tagged, opened: &mut Opened) -> Result<Index> {
    let blob = Blob { digest: tagged.digest, size: tagged.bytes.len() as u64 };
    let platform = Some(platform(&tagged.bytes, opened)?);
    let mut index = Index::empty();
    index.put_container(&Container { media_type: tagged.media_type.clone(), blob, platform });
    Ok(index)
}

/// What a container image runs on stands in its configuration.
fn platform(manifest: &[u8], opened: &mut Opened) -> Result<Platform> {
    let wrong = |cause: &str| Error::input("read the container image of the tag", cause.to_owned());
    let manifest: Value = serde_json::from_slice(manifest).map_err(|e| wrong(&e.to_string()))?;
    let config = &manifest["config"];
    let digest = config["digest"].as_str().and_then(|text| text.parse().ok());
    let (Some(digest), Some(size)) = (digest, config["size"].as_u64()) else {
        return Err(wrong("it names no configuration"));
    };
    let config = opened.document(&Blob { digest, size })?;
    serde_json::from_slice(&config).map_err(|cause| wrong(&cause.to_string()))
}

fn seals(index: &Index, opened: &mut Opened) -> Result<Vec<Seal>> {
    let releases = index.architectures().into_iter().map(|one| index.release(one));
    releases.map(|blob| seal(&blob.map_err(of_transfer)?, opened)).collect()
}

fn seal(release: &Blob, opened: &mut Opened) -> Result<Seal> {
    let manifest = ReleaseManifest::parse(&opened.manifest(release)?).map_err(of_transfer)?;
    let bytes = opened.document(&manifest.seal)?;
    peek(&bytes).map_err(|cause| Error::input("read the seal of the tag's release", cause))
}
