//! Layers in, one tree out: OCI image-spec `layer.md`.
//!
//! Each layer is checked, decompressed and taken apart by threads of its own; its file data goes to
//! the spool, and so do its entries. When all layers are known to be what the image's configuration
//! names, their entries are merged in order. Nothing of a layer ever becomes a file of the host.

mod blob;
mod budget;
mod decode;
mod fault;
mod input;
mod journal;
mod limits;
mod merge;
mod name;
mod record;
pub mod tar;
mod unpack;

pub use blob::Blob;
pub use fault::{Fault, Located, Mismatch};
pub use input::Input;
pub use limits::Limits;
pub use name::Subject;
pub(crate) use name::symlink_target;

use pintle_verify::Digest;

use crate::error::{Error, Result};
use crate::progress::{Phase, Progress};
use crate::spool::Spool;
use crate::tree::Tree;
use limits::Quota;

/// How a layer is compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compression {
    /// Plain tar.
    None,
    /// gzip, of any number of members.
    Gzip,
    /// zstd, of any number of frames.
    Zstd,
}

/// A layer as the image names it.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Where it is.
    pub blob: Blob,
    /// What it hashes to; `None` where the format does not say.
    pub digest: Option<Digest>,
    /// How it is compressed.
    pub compression: Compression,
    /// What it hashes to uncompressed.
    pub diff_id: Digest,
}

/// Merges `layers`, the lowest first, and leaves their files' data in `spool`.
///
/// # Errors
/// Names the layer, and where in it something is wrong. Of several broken layers it is the lowest.
pub fn merge(
    layers: &[Layer],
    spool: &Spool,
    limits: Limits,
    progress: &dyn Progress,
) -> Result<Tree> {
    let quota = Quota::new(limits);
    let work = unpack::Work { layers, spool, quota: &quota, progress };
    let unpacked = work.run().map_err(|(index, fault)| explain(layers, index, fault))?;
    progress.begin(Phase::Merge, Some(layers.len() as u64));
    let mut tree = Tree::new();
    for (index, changes) in unpacked.iter().enumerate() {
        merge::apply(changes, &mut tree, spool, limits)
            .map_err(|fault| explain(layers, index, fault))?;
        progress.advance(1);
    }
    Ok(tree)
}

fn explain(layers: &[Layer], index: usize, located: Located) -> Error {
    let layer = &layers[index];
    let digest = layer.digest.unwrap_or(layer.diff_id);
    let action = format!("read layer {} of {} ({digest})", index + 1, layers.len());
    match located.fault {
        Fault::Host { source, .. } => Error::Host { action, source },
        _ => Error::input(action, located),
    }
}
