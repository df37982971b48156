//! Proves a release: the seal by its signatures, the hash tree by the seal, every block by the
//! tree.

use crate::erofs::format::BLOCK;
use crate::error::Attempt;
use crate::progress::{Phase, Progress};
use crate::release::{IMAGE, SEAL, TREE};
use crate::{Error, Result, parallel};
use pintle_verify::verity::{self, Geometry, Leaf, LeafHasher, TreeFile};
use pintle_verify::{Expect, KeySet, Refusal, Seal, Unverified, Verified, signers};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Blocks that a thread reads and hashes at a time. Measured: in runs of 1 MiB the kernel copies at
/// 18 GB/s, in runs of 256 KiB at 13.
const RUN: usize = 256;

/// The longest seal there is, and a byte more so that a longer one is seen to be longer.
const SEAL_LIMIT: u64 = 4096 + 1;

/// Proves the release in `directory`.
///
/// # Errors
/// Says which file is wrong, and where.
pub fn verify(
    directory: &Path,
    keys: &KeySet,
    expect: &Expect,
    progress: &dyn Progress,
) -> Result<Verified<Seal>> {
    let seal = verify_seal(&directory.join(SEAL), keys, expect)?;
    let bytes = read_tree(&directory.join(TREE), &seal)?;
    let tree = TreeFile::open(&bytes, &seal)
        .map_err(|cause| Error::input(format!("verify {TREE}"), cause))?;
    verify_image(&directory.join(IMAGE), &seal, tree.leaves(), progress)?;
    Ok(seal)
}

fn verify_seal(path: &Path, keys: &KeySet, expect: &Expect) -> Result<Verified<Seal>> {
    let bytes = read_seal(path)?;
    keys.verify(Unverified(&bytes), expect)
        .map_err(|refusal| Error::input(format!("verify {SEAL}"), tell(&refusal, &bytes)))
}

/// Where too few have signed, the ids of those that the seal names help to find the right key.
fn tell(refusal: &Refusal, seal: &[u8]) -> String {
    let ids = match refusal {
        Refusal::Threshold { .. } => signers(seal).unwrap_or_default(),
        _ => Vec::new(),
    };
    match ids.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice() {
        [] => refusal.to_string(),
        [id] => format!("{refusal}; its signer is key {id}"),
        ids => format!("{refusal}; its signers are keys {}", ids.join(", ")),
    }
}

/// Reads a seal file, but no more of it than a seal may be long.
pub fn read_seal(path: &Path) -> Result<Vec<u8>> {
    read_at_most(path, SEAL_LIMIT)
}

/// The leaves in a tree's file, proven by nothing yet.
pub(crate) fn read_leaves(path: &Path, seal: &Seal) -> Result<Vec<Leaf>> {
    let wrong = |cause: String| Error::input(format!("read {}", path.display()), cause);
    let geometry = Geometry::of_image(seal.image_size).map_err(|cause| wrong(cause.to_string()))?;
    let bytes = read_at_most(path, geometry.tree_size() + 1)?;
    if bytes.len() as u64 != geometry.tree_size() {
        let expected = geometry.tree_size();
        return Err(wrong(format!("{} bytes long, expected {expected}", bytes.len())));
    }
    // The leaves are the last level, filled up with zeros to whole blocks; that of a single block is the root hash.
    let Some(blocks) = geometry.levels().first() else {
        return Ok(vec![*seal.root_hash.as_bytes()]);
    };
    let leaves = &bytes[bytes.len() - (blocks * BLOCK) as usize..];
    Ok(leaves.as_chunks().0[..geometry.data_blocks() as usize].to_vec())
}

/// The tree's size follows from the image's, which the seal vouches for.
fn read_tree(path: &Path, seal: &Seal) -> Result<Vec<u8>> {
    let geometry = Geometry::of_image(seal.image_size)
        .map_err(|cause| Error::input(format!("verify {SEAL}"), cause))?;
    read_at_most(path, geometry.tree_size() + 1)
}

fn read_at_most(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let action = || format!("read {}", path.display());
    let file = File::open(path).attempt(action)?;
    let length = file.metadata().attempt(action)?.len().min(limit);
    let mut bytes = Vec::with_capacity(length as usize);
    file.take(limit).read_to_end(&mut bytes).attempt(action)?;
    Ok(bytes)
}

pub(crate) fn verify_image(
    path: &Path,
    seal: &Seal,
    leaves: &[Leaf],
    progress: &dyn Progress,
) -> Result<()> {
    let action = || format!("read {}", path.display());
    let file = File::open(path).attempt(action)?;
    check_size(file.metadata().attempt(action)?.len(), seal.image_size)?;
    progress.begin(Phase::Hash, Some(seal.image_size));
    let hasher = LeafHasher::new(&seal.salt);
    let runs = (0..).step_by(RUN).zip(leaves.chunks(RUN));
    parallel::for_each(runs, Vec::new, |buffer, (first, leaves)| {
        buffer.resize(leaves.len() * verity::BLOCK, 0);
        file.read_exact_at(buffer, first * BLOCK).attempt(action)?;
        check_blocks(&hasher, first, buffer, leaves)?;
        progress.advance(buffer.len() as u64);
        Ok(())
    })
}

fn check_size(found: u64, sealed: u64) -> Result<()> {
    match found == sealed {
        true => Ok(()),
        false => Err(bad_image(format!("{found} bytes long, the seal says {sealed}"))),
    }
}

fn check_blocks(hasher: &LeafHasher, first: u64, bytes: &[u8], leaves: &[Leaf]) -> Result<()> {
    let wrong =
        bytes.as_chunks().0.iter().zip(leaves).position(|(b, leaf)| hasher.leaf(b) != *leaf);
    match wrong {
        None => Ok(()),
        Some(at) => {
            let block = first + at as u64;
            Err(bad_image(format!("block {block} (byte {}) is not the sealed one", block * BLOCK)))
        }
    }
}

fn bad_image(cause: String) -> Error {
    Error::input(format!("verify {IMAGE}"), cause)
}
