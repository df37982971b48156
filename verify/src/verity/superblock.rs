use super::BLOCK;
use crate::{Salt, Uuid};

/// The first block of a tree file, as cryptsetup lays it out: 512 bytes, little-endian, padded with
/// zeros to a block.
///
/// Format version 1, hash type 1, SHA-256, blocks of 4096 bytes, a salt of 64: other trees do not
/// parse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superblock {
    /// Names the image family; not covered by the root hash.
    pub uuid: Uuid,
    /// Blocks of the image.
    pub data_blocks: u64,
    /// Mixed into each hash.
    pub salt: Salt,
}

impl Superblock {
    /// Writes the block.
    pub fn encode(&self) -> [u8; BLOCK] {
        let fields = [
            SIGNATURE.as_slice(),
            &1u32.to_le_bytes(),
            &1u32.to_le_bytes(),
            self.uuid.as_bytes(),
            &ALGORITHM,
            &(BLOCK as u32).to_le_bytes(),
            &(BLOCK as u32).to_le_bytes(),
            &self.data_blocks.to_le_bytes(),
            &SALT_SIZE.to_le_bytes(),
            &[0; 6],
            self.salt.as_bytes(),
        ];
        let mut block = [0; BLOCK];
        block.iter_mut().zip(fields.concat()).for_each(|(to, from)| *to = from);
        block
    }

    /// Reads the block; `None` where it is not the one encoding of a superblock of this form.
    pub fn parse(block: &[u8; BLOCK]) -> Option<Self> {
        let superblock = Self {
            uuid: Uuid::from_bytes(array(block, UUID_AT)?),
            data_blocks: u64::from_le_bytes(array(block, DATA_BLOCKS_AT)?),
            salt: Salt::from_own(array(block, SALT_AT)?),
        };
        (superblock.encode() == *block).then_some(superblock)
    }
}

const SIGNATURE: [u8; 8] = *b"verity\0\0";
const ALGORITHM: [u8; 32] = *b"sha256\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
const UUID_AT: usize = 16;
const DATA_BLOCKS_AT: usize = 72;
const SALT_SIZE: u16 = 64;
const SALT_AT: usize = 88;

fn array<const N: usize>(block: &[u8; BLOCK], at: usize) -> Option<[u8; N]> {
    block.get(at..)?.first_chunk().copied()
}
