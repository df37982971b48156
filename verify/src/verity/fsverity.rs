use super::BLOCK;
use crate::{Digest, Salt};

/// The fs-verity digest of a file of `size` bytes whose tree has this root hash and salt: what
/// `FS_IOC_MEASURE_VERITY` answers and `fsverity digest --salt` prints.
///
/// SHA-256 of the [`fsverity_descriptor`].
pub fn fsverity_digest(root_hash: &Digest, salt: &Salt, size: u64) -> Digest {
    Digest::of(&fsverity_descriptor(root_hash, salt, size))
}

/// The kernel's `struct fsverity_descriptor`, which stands behind the tree of a file on disk.
pub fn fsverity_descriptor(root_hash: &Digest, salt: &Salt, size: u64) -> Vec<u8> {
    let own_salt = salt.fsverity();
    let descriptor = [
        &[VERSION, SHA256, LOG_BLOCK, own_salt.len() as u8],
        NO_SIGNATURE.as_slice(),
        &size.to_le_bytes(),
        root_hash.as_bytes(),
        &[0; 32],
        &own_salt,
        &[0; 144],
    ];
    descriptor.concat()
}

const VERSION: u8 = 1;
const SHA256: u8 = 1;
const LOG_BLOCK: u8 = BLOCK.ilog2() as u8;
const NO_SIGNATURE: [u8; 4] = [0; 4];
