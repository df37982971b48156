//! The file system that an image will hold, in memory: what the layers merge into and what the EROFS writer lays out.
//!
//! File data is not here. It stands once in a [`Spool`](crate::spool::Spool), an unnamed temporary file, and a
//! [`Content`] says where; so memory grows with the number of files and not with their size.

use std::collections::BTreeMap;

/// Names an inode of one [`Tree`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct InodeId(u32);

/// What an inode is, beyond its attributes.
#[derive(Clone, Debug)]
pub enum Body {
    /// Children by name; names are never empty, `.`, `..`, or with a slash or NUL in them.
    Directory(BTreeMap<Box<[u8]>, InodeId>),
    /// A regular file and where its data is.
    File(Content),
    /// The link's target, at most 4095 bytes.
    Symlink(Box<[u8]>),
    /// A character device.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A named pipe.
    Fifo,
    /// A socket (`dir:` sources may hold one; tar cannot).
    Socket,
}

/// A device number as the tar header and the kernel give it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Device {
    /// The driver.
    pub major: u32,
    /// The driver's instance.
    pub minor: u32,
}

/// A regular file's data: data extents in the spool, holes between them.
#[derive(Clone, Default, Debug)]
pub struct Content {
    /// Length in bytes, as `stat` shows it.
    pub size: u64,
    /// Data runs by ascending `offset`, not overlapping, none past `size`; what they leave out reads as zeros.
    pub extents: Box<[Extent]>,
}

/// A run of a file's bytes in the spool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// Where in the file.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
    /// Where in the spool.
    pub spool: u64,
}
