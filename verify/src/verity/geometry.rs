use super::{BLOCK, FAN_OUT};
use crate::Error;

/// An image is an operating system; a tree over 1 TiB (8 GiB of hashes) is a mistake or an attack.
const MAX_DATA_BLOCKS: u64 = 1 << 28;

/// How large an image's tree is, a function of the image's size alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Geometry {
    data_blocks: u64,
    levels: Vec<u64>,
}

impl Geometry {
    /// The geometry of the tree over an image of `image_size` bytes, 4096 to 2^40, a multiple of
    /// 4096.
    pub fn of_image(image_size: u64) -> Result<Self, Error> {
        let data_blocks = image_size / BLOCK as u64;
        if !image_size.is_multiple_of(BLOCK as u64) || !(1..=MAX_DATA_BLOCKS).contains(&data_blocks)
        {
            return Err(Error::ImageSize(image_size));
        }
        Ok(Self { data_blocks, levels: levels(data_blocks) })
    }

    /// Blocks of the image, and leaves.
    pub fn data_blocks(&self) -> u64 {
        self.data_blocks
    }

    /// Blocks of each level of the tree, the lowest first.
    pub fn levels(&self) -> &[u64] {
        &self.levels
    }

    /// Bytes of the tree file: superblock, then the levels, the highest first.
    pub fn tree_size(&self) -> u64 {
        (1 + self.levels.iter().sum::<u64>()) * BLOCK as u64
    }
}

fn levels(data_blocks: u64) -> Vec<u64> {
    let above = |blocks: &u64| (*blocks > 1).then(|| blocks.div_ceil(FAN_OUT as u64));
    std::iter::successors(Some(data_blocks), above).skip(1).collect()
}
