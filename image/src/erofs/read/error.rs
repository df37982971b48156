//! Why an image cannot be read.

use super::Nid;
use std::{fmt, io};

/// Why an image cannot be read: the cause of an [`Error::Input`](crate::Error) or
/// [`Error::Host`](crate::Error).
#[derive(Debug)]
pub enum Error {
    /// The device or file under the image failed.
    Io {
        /// Where in the image.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// It has no EROFS superblock.
    NotErofs,
    /// It needs features that are not read here, compression for one.
    Feature(u32),
    /// Its blocks are not of 4 KiB; the binary logarithm that it names.
    BlockSize(u8),
    /// The superblock was changed after it was written.
    Checksum {
        /// What the superblock says.
        stored: u32,
        /// What its bytes give.
        found: u32,
    },
    /// There are fewer bytes than the superblock says.
    Truncated {
        /// What the superblock says.
        length: u64,
        /// What is there.
        held: u64,
    },
    /// Something points past the end.
    Outside {
        /// Where it points.
        offset: u64,
    },
    /// An inode contradicts the format.
    Corrupt {
        /// Which one.
        nid: Nid,
        /// What is wrong with it, to be read after "inode N".
        what: &'static str,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { offset, source } => write!(f, "byte {offset}: {source}"),
            Self::NotErofs => write!(f, "no EROFS superblock at byte 1024"),
            Self::Feature(bits) => write!(f, "features {bits:#x}, which pintle does not read"),
            Self::BlockSize(bits) => write!(f, "blocks of 2^{bits} bytes instead of 2^12"),
            Self::Checksum { stored, found } => {
                write!(f, "superblock checksum is {found:08x}, expected {stored:08x}")
            }
            Self::Truncated { length, held } => {
                write!(f, "{held} bytes long, expected at least {length}")
            }
            Self::Outside { offset } => write!(f, "something points outside, to byte {offset}"),
            Self::Corrupt { nid, what } => write!(f, "inode {} {what}", nid.0),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
