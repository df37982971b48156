//! Deltas from earlier releases.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use pintle_registry::Settings;
use pintle_transfer::delta::{Side, make};
use pintle_transfer::document::DeltaLayer;
use pintle_transfer::frames::SeekTable;
use pintle_transfer::plan::cost_from;
use pintle_verify::verity::Leaf;
use pintle_verify::{Digest, Seal};

use super::files;
use super::older::Older;
use super::prepared::Hashing;
use super::settings::of_transfer;
use crate::erofs::format::BLOCK;
use crate::error::{Attempt, Error, Result};
use crate::progress::{Phase, Progress};

/// What a machine that has an earlier release fetches.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Delta {
    /// The earlier release's version.
    pub from: String,
    /// The root hash of its image.
    pub root_hash: Digest,
    /// Bytes of the delta.
    pub size: u64,
    /// Bytes that would be fetched without it, requests counted.
    pub instead_of: u64,
    /// Whether it is of use, and was published.
    pub published: bool,
}

/// A delta in a file without a name.
pub(super) struct MadeDelta {
    pub(super) delta: Delta,
    pub(super) file: File,
    digest: Digest,
}

impl MadeDelta {
    /// How the release names it, if it does.
    pub(super) fn layer(&self) -> Option<DeltaLayer> {
        let Delta { root_hash, size, instead_of, published, .. } = self.delta;
        let blob = pintle_transfer::Blob { digest: self.digest, size };
        published.then_some(DeltaLayer { blob, from: root_hash, instead_of: Some(instead_of) })
    }
}

/// The image that deltas lead to.
pub(super) struct Target<'t> {
    pub(super) path: &'t Path,
    pub(super) leaves: &'t [Leaf],
    pub(super) table: &'t SeekTable,
    pub(super) seal: &'t Seal,
}

impl Target<'_> {
    /// A delta from each of these.
    pub(super) fn deltas_from(
        &self,
        older: &[(Older, Settings)],
        progress: &dyn Progress,
    ) -> Result<Vec<MadeDelta>> {
        older.iter().map(|(one, settings)| self.delta_from((one, settings), progress)).collect()
    }

    fn delta_from(
        &self,
        (older, settings): (&Older, &Settings),
        progress: &dyn Progress,
    ) -> Result<MadeDelta> {
        let from = older.read(self.seal.architecture, settings, progress)?;
        let wrong = |cause: &str| Err(Error::input(format!("make a delta from {older}"), cause));
        if from.seal.salt != self.seal.salt {
            return wrong("it is of another image: no block of it can be known again");
        }
        if from.seal.root_hash == self.seal.root_hash {
            return wrong("it is the same image");
        }
        let action = || format!("make a delta from {older}");
        let new = File::open(self.path).attempt(action)?;
        let file = tempfile::tempfile().attempt(action)?;
        progress.begin(Phase::Delta, Some(self.leaves.len() as u64 * BLOCK));
        let mut out = Hashing::new(BufWriter::new(&file));
        let sides = [(&from.image, from.leaves.as_slice()), (&new, self.leaves)];
        let files = sides.map(|(image, _)| files::extents(image));
        let [old, new] =
            [0, 1].map(|n| Side { image: sides[n].0, leaves: sides[n].1, files: &files[n] });
        let told = |blocks| progress.advance(blocks * BLOCK);
        make(&old, &new, &mut out, &told).map_err(of_transfer)?;
        let blob = out.blob().attempt(action)?;
        let instead_of = cost_from(old.leaves, new.leaves, self.table).total();
        let delta = Delta {
            from: from.seal.version.to_string(),
            root_hash: from.seal.root_hash,
            size: blob.size,
            instead_of,
            published: blob.size < instead_of,
        };
        Ok(MadeDelta { delta, file, digest: blob.digest })
    }
}
