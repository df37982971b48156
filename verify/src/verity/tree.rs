use std::io::{self, Write};
use std::iter;

use super::{BLOCK, FAN_OUT, Geometry, Leaf, LeafHasher, Superblock};
use crate::{Digest, Error, Salt, Uuid};

/// A whole hash tree, made from its leaves.
pub struct Tree {
    salt: Salt,
    geometry: Geometry,
    /// The leaves, then the hashes of each level's blocks, up to the root hash alone.
    hashes: Vec<Vec<Leaf>>,
    root: Digest,
}

impl Tree {
    /// Hashes the leaves of an image, in the order of its blocks, up to the root.
    pub fn from_leaves(salt: Salt, leaves: Vec<Leaf>) -> Result<Self, Error> {
        let geometry = Geometry::of_image(leaves.len() as u64 * BLOCK as u64)?;
        let hasher = LeafHasher::new(&salt);
        let above = |below: &Vec<Leaf>| (below.len() > 1).then(|| level_above(&hasher, below));
        let hashes: Vec<_> = iter::successors(Some(leaves), above).collect();
        let Some([root]) = hashes.last().map(Vec::as_slice) else {
            return Err(Error::Tree("it has no root"));
        };
        let root = Digest::from_bytes(*root);
        Ok(Self { salt, geometry, hashes, root })
    }

    /// The root hash.
    pub fn root(&self) -> Digest {
        self.root
    }

    /// The leaves, in the order of the image's blocks.
    pub fn leaves(&self) -> &[Leaf] {
        self.hashes.first().map(Vec::as_slice).unwrap_or_default()
    }

    /// How large the tree is.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Writes the tree file as `veritysetup format --uuid` does: superblock, then the levels, the
    /// highest first.
    pub fn write(&self, out: &mut impl Write, uuid: Uuid) -> io::Result<()> {
        let data_blocks = self.geometry.data_blocks();
        out.write_all(&Superblock { uuid, data_blocks, salt: self.salt }.encode())?;
        for level in self.hashes.iter().rev().skip(1) {
            level.chunks(FAN_OUT).try_for_each(|hashes| out.write_all(&block_of(hashes)))?;
        }
        Ok(())
    }
}

fn level_above(hasher: &LeafHasher, below: &[Leaf]) -> Vec<Leaf> {
    below.chunks(FAN_OUT).map(|hashes| hasher.leaf(&block_of(hashes))).collect()
}

/// A block of the tree: up to 128 hashes, then zeros.
fn block_of(hashes: &[Leaf]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block.iter_mut().zip(hashes.as_flattened()).for_each(|(to, from)| *to = *from);
    block
}
