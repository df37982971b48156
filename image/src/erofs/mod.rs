//! EROFS images: a writer that is a function of the tree alone, or of it and an older image, and a
//! reader that trusts nothing.
//!
//! The on-disk format is the kernel's (`Documentation/filesystems/erofs.rst`,
//! `fs/erofs/erofs_fs.h`). An image of ours is, block by block (4 KiB each):
//!
//! | what | order |
//! |---|---|
//! | superblock | block 0, at byte 1024 |
//! | file data | by length in blocks, then by path |
//! | blocks of symlinks and directories that do not fit behind their inode | the same |
//! | inodes, each with its xattrs, its chunk map or its inline tail | by path |
//! | shared xattrs | by name and value |
//!
//! File data stands before the metadata and short files before long ones, so that a file that
//! changes its length in blocks moves only longer ones, and more or fewer names move no data at
//! all. An image that goes on from an older one keeps that one's order instead: `write/keep.rs`.

pub mod format;
pub mod read;
pub mod write;
