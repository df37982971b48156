//! A file with fs-verity in force, as ext4 keeps it on disk: the data, at the next multiple of
//! 64 KiB the tree, after it the descriptor, and at the end of the last block the descriptor's
//! length. All but the data lies past the end that the inode names.
//!
//! Source: the kernel's fs/ext4/verity.c.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use pintle_verify::verity::{self, BLOCK, Geometry, Leaf};

use super::entry::Entry;
use crate::error::Attempt;
use crate::release::{IMAGE, TREE};
use crate::{Error, Result};

/// Where the tree may begin (`ext4_verity_metadata_pos`).
const METADATA_ALIGNMENT: u64 = 65536;

/// Writes the image of `entry` with what makes it a sealed file to a new file in `folder`.
pub(super) fn write(entry: &Entry, folder: &Path) -> Result<PathBuf> {
    let path = folder.join(format!("{}.sealed", entry.name()));
    let action = || format!("write {}", path.display());
    let seal = &entry.seal;
    let tree = read_tree(entry)?;
    let descriptor = verity::fsverity_descriptor(&seal.root_hash, &seal.salt, seal.image_size);
    let file = File::create_new(&path).attempt(action)?;
    let mut image = File::open(entry.file(IMAGE)?).attempt(action)?;
    io::copy(&mut image, &mut &file).attempt(action)?;
    let start = seal.image_size.next_multiple_of(METADATA_ALIGNMENT);
    file.write_all_at(&[tree, last_block(&descriptor)].concat(), start).attempt(action)?;
    path.canonicalize().attempt(action)
}

/// The descriptor, which fits in a block, and its length.
fn last_block(descriptor: &[u8]) -> Vec<u8> {
    let length = (descriptor.len() as u32).to_le_bytes();
    let mut block = descriptor.to_vec();
    block.resize(BLOCK - length.len(), 0);
    block.extend(length);
    block
}

/// The levels of the hash tree, the highest first, made anew from its leaves: a wrong byte in them
/// would only show when the machine reads what it stands for.
fn read_tree(entry: &Entry) -> Result<Vec<u8>> {
    let refuse = |cause: String| Error::input(format!("use {TREE}"), cause);
    let file = fs::read(entry.file(TREE)?).attempt(|| format!("read {TREE}"))?;
    let levels = file.get(BLOCK..).unwrap_or_default();
    let geometry = Geometry::of_image(entry.seal.image_size).map_err(|e| refuse(e.to_string()))?;
    let leaves = leaves(levels, &geometry);
    if geometry.levels().is_empty() {
        return Ok(Vec::new());
    }
    let tree = verity::Tree::from_leaves(entry.seal.salt, leaves);
    match tree.map_err(|e| refuse(e.to_string()))?.root() == entry.seal.root_hash {
        true => Ok(levels.to_vec()),
        false => Err(refuse("its root hash is not the seal's".to_owned())),
    }
}

/// The hashes in the lowest level, without what fills its last block.
fn leaves(levels: &[u8], geometry: &Geometry) -> Vec<Leaf> {
    let lowest = geometry.levels().first().map_or(0, |blocks| *blocks as usize * BLOCK);
    let lowest = &levels[levels.len().saturating_sub(lowest)..];
    lowest.as_chunks().0.iter().take(geometry.data_blocks() as usize).copied().collect()
}
