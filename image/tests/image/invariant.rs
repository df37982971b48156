//! What holds for any bytes that are read as an EROFS image; the fuzz target checks the same.

use pintle_image::erofs::format::{BLOCK, DIRENT, FileType};
use pintle_image::erofs::read::{Error, Image, Inode};

/// Reading ends, does not panic, and finds no more names than the image has room for.
///
/// Reads everything, but of each file only the ends; returns how many names there are.
pub(crate) fn check(bytes: &[u8]) -> usize {
    let Ok(image) = Image::open(bytes) else { return 0 };
    let mut names = 0;
    for found in image.walk().map_while(Result::ok) {
        // Errors are answers too.
        look_at(&image, &found.inode).ok();
        names += 1;
    }
    assert!(names <= 1 + bytes.len() / DIRENT);
    names
}

fn look_at(image: &Image<&[u8]>, inode: &Inode) -> Result<(), Error> {
    image.xattrs(inode)?;
    match inode.file_type {
        FileType::Symlink => drop(image.target(inode)?),
        FileType::File => read_ends(image, inode)?,
        FileType::Directory => drop(image.entries(inode)?),
        _ => drop(inode.device()),
    }
    Ok(())
}

fn read_ends(image: &Image<&[u8]>, inode: &Inode) -> Result<(), Error> {
    let mut buffer = [0; 4 * BLOCK as usize];
    for offset in [0, inode.size / 2, inode.size.saturating_sub(5000), inode.size, u64::MAX] {
        let length = image.read_at(inode, offset, &mut buffer)?;
        let expected = inode.size.saturating_sub(offset).min(buffer.len() as u64);
        assert_eq!(length as u64, expected);
    }
    Ok(())
}
