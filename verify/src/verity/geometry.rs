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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_shrink_by_128_down_to_one_block() {
        for (data_blocks, levels) in [
            (1, vec![]),
            (2, vec![1]),
            (128, vec![1]),
            (129, vec![2, 1]),
            (128 * 128, vec![128, 1]),
            (128 * 128 + 1, vec![129, 2, 1]),
            (MAX_DATA_BLOCKS, vec![1 << 21, 1 << 14, 1 << 7, 1]),
        ] {
            let geometry = Geometry::of_image(data_blocks * BLOCK as u64).unwrap();
            assert_eq!(geometry.levels(), levels, "{data_blocks} blocks");
            assert_eq!(geometry.tree_size(), (1 + levels.iter().sum::<u64>()) * BLOCK as u64);
        }
    }

    #[test]
    fn images_are_whole_blocks_of_a_sane_number() {
        for bad in [0, 1, 4095, 4097, (MAX_DATA_BLOCKS + 1) * BLOCK as u64, u64::MAX] {
            assert_eq!(Geometry::of_image(bad), Err(Error::ImageSize(bad)));
        }
    }
}
