//! The hash tree over an image, the one that dm-verity and fs-verity share.
//!
//! Sources: the kernel's `Documentation/admin-guide/device-mapper/verity.rst` and
//! `Documentation/filesystems/fsverity.rst`, cryptsetup's on-disk format of dm-verity.
//!
//! Each 4096-byte block of the image has a *leaf*, SHA-256 of the salt and the block. 128 leaves
//! fill a block of the tree's lowest level, whose hashes fill the next, until a level is one block;
//! the hash of that one is the root hash. The root hash of an image of one block is its leaf.

mod fsverity;
mod geometry;
mod leaf_hasher;
mod superblock;
mod tree;
mod tree_file;

pub use fsverity::{fsverity_descriptor, fsverity_digest};
pub use geometry::Geometry;
pub use leaf_hasher::{LeafHasher, leaf};
pub use superblock::Superblock;
pub use tree::Tree;
pub use tree_file::TreeFile;

/// Bytes of a block, of the image as of the tree.
pub const BLOCK: usize = 4096;

/// The salted SHA-256 of one block of the image, or of the tree.
pub type Leaf = [u8; 32];

/// Hashes in a block of the tree.
const FAN_OUT: usize = BLOCK / size_of::<Leaf>();
