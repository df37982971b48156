use sha2::{Digest as _, Sha256};

use super::{BLOCK, Leaf};
use crate::Salt;

/// Hashes blocks with one salt, which is hashed once: a leaf costs the block's own 64 rounds and
/// the padding's.
#[derive(Clone)]
pub struct LeafHasher(Sha256);

impl LeafHasher {
    /// Hashes the salt.
    pub fn new(salt: &Salt) -> Self {
        Self(Sha256::new_with_prefix(salt.as_bytes()))
    }

    /// The leaf of `block`.
    pub fn leaf(&self, block: &[u8; BLOCK]) -> Leaf {
        self.0.clone().chain_update(block).finalize().into()
    }
}

/// The leaf of one block; for more than one, keep a [`LeafHasher`].
pub fn leaf(salt: &Salt, block: &[u8; BLOCK]) -> Leaf {
    LeafHasher::new(salt).leaf(block)
}
