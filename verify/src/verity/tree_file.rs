use super::{BLOCK, Geometry, Leaf, LeafHasher, Superblock};
use crate::{Error, Seal, Uuid, Verified};

/// A tree file every byte of which the seal vouches for.
#[derive(Debug, Clone, Copy)]
pub struct TreeFile<'a> {
    leaves: &'a [Leaf],
}

impl<'a> TreeFile<'a> {
    /// Checks all of `bytes`, the content of `root.tree`, up to the seal's root hash.
    pub fn open(bytes: &'a [u8], seal: &'a Verified<Seal>) -> Result<Self, Error> {
        let geometry = Geometry::of_image(seal.image_size)?;
        let (superblock, tree) = split(bytes, &geometry)?;
        if *superblock != expected_superblock(&geometry, seal).encode() {
            return Err(Error::Tree("its superblock is another"));
        }
        Ok(Self { leaves: authenticated_leaves(tree, &geometry, seal)? })
    }

    /// The leaf of each block of the image, in order.
    pub fn leaves(&self) -> &'a [Leaf] {
        self.leaves
    }
}

type Block = [u8; BLOCK];

fn split<'a>(bytes: &'a [u8], geometry: &Geometry) -> Result<(&'a Block, &'a [Block]), Error> {
    match bytes.as_chunks() {
        ([superblock, tree @ ..], []) if bytes.len() as u64 == geometry.tree_size() => {
            Ok((superblock, tree))
        }
        _ => Err(Error::Tree("its size is not the one of the image's tree")),
    }
}

fn expected_superblock(geometry: &Geometry, seal: &Seal) -> Superblock {
    Superblock {
        uuid: Uuid::of_image_id(&seal.image_id),
        data_blocks: geometry.data_blocks(),
        salt: seal.salt,
    }
}

/// Walks down: the hashes of a level are trusted before the blocks that they speak of are.
fn authenticated_leaves<'a>(
    mut rest: &'a [Block],
    geometry: &Geometry,
    seal: &'a Seal,
) -> Result<&'a [Leaf], Error> {
    let hasher = LeafHasher::new(&seal.salt);
    let mut trusted = std::slice::from_ref(seal.root_hash.as_bytes());
    for blocks in geometry.levels().iter().rev() {
        let (level, below) = rest.split_at_checked(*blocks as usize).ok_or(TOO_SHORT)?;
        let hashes = trusted.get(..level.len()).ok_or(TOO_SHORT)?;
        if !level.iter().map(|block| hasher.leaf(block)).eq(hashes.iter().copied()) {
            return Err(Error::Tree("a hash does not match its block"));
        }
        trusted = level.as_flattened().as_chunks().0;
        rest = below;
    }
    // The last block of a level ends in hashes of nothing.
    trusted.get(..geometry.data_blocks() as usize).ok_or(TOO_SHORT)
}

const TOO_SHORT: Error = Error::Tree("it is too short");
