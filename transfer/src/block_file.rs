//! Files of whole blocks: images and trees.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use pintle_verify::verity::BLOCK;

/// A block of an image or of a tree.
pub(crate) type Block = [u8; BLOCK];

/// Reads the block with this number; `None` where the file ends before it does.
pub(crate) fn read(file: &File, number: u64) -> io::Result<Option<Block>> {
    let mut block = [0; BLOCK];
    match file.read_exact_at(&mut block, offset(number)) {
        Ok(()) => Ok(Some(block)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes blocks from this number on.
pub(crate) fn write(file: &File, number: u64, blocks: &[u8]) -> io::Result<()> {
    file.write_all_at(blocks, offset(number))
}

/// How long a file is, in bytes: `File::metadata` goes by statx, which takes paths too and is refused to a worker.
pub(crate) fn length(file: &File) -> io::Result<u64> {
    Ok(u64::try_from(rustix::fs::fstat(file)?.st_size).unwrap_or(0))
}

/// Where a block begins, in bytes.
pub(crate) fn offset(number: u64) -> u64 {
    number * BLOCK as u64
}
