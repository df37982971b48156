//! Where the data of files is in an image.

use std::fs::File;

use pintle_transfer::delta::Extent;

use crate::erofs::read::Image;

/// The data of files, in order of paths. What is no image has none: a machine will not mount it, and that is not
/// checked here.
pub(super) fn extents(image: &File) -> Vec<Extent> {
    let opened = image.try_clone().ok().and_then(|file| Image::open(file).ok());
    let Some(opened) = opened else { return Vec::new() };
    let found = opened.walk().filter_map(Result::ok);
    let extents = found.filter_map(|found| {
        let blocks = opened.blocks_of(&found.inode).ok().filter(|blocks| !blocks.is_empty())?;
        Some(Extent { blocks, path: found.path })
    });
    extents.collect()
}

/// The blocks where files begin, in order.
pub(super) fn starts(image: &File) -> Vec<u64> {
    let mut starts: Vec<u64> = extents(image).iter().map(|file| file.blocks.start).collect();
    starts.sort_unstable();
    starts.dedup();
    starts
}
