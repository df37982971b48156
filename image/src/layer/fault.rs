//! What can be wrong with a layer, and where in it.

use std::{fmt, io};

use pintle_verify::Digest;

use crate::tree::{self, PathError};

/// What is wrong with a layer.
#[derive(Debug)]
pub enum Fault {
    /// The bytes end inside of this.
    Truncated(&'static str),
    /// A header whose sum is not what it says.
    Checksum,
    /// A header field that is no number.
    Number(&'static str),
    /// A number that Linux has no room for.
    Range(&'static str),
    /// A header that is longer than anything that it could hold.
    Oversized {
        /// Which kind of header.
        what: &'static str,
        /// What it says, in bytes.
        length: u64,
        /// The most that is read, in bytes.
        limit: u64,
    },
    /// PAX records that are not as POSIX says.
    Pax(&'static str),
    /// A PAX record for all later entries that changes what they are.
    GlobalPax(String),
    /// Two headers of this kind for one entry.
    Repeated(&'static str),
    /// A header that describes the next entry, at the end.
    Orphan,
    /// A type that image layers do not have.
    UnknownType(u8),
    /// Data where the type has none; others would read it as entries.
    UnexpectedData,
    /// A sparse map that contradicts itself or the entry.
    Sparse(&'static str),
    /// A name that no image may hold.
    Name(&'static str),
    /// An extended attribute that Linux has no room for.
    Xattr(&'static str),
    /// A whiteout that says nothing or too much.
    Whiteout(&'static str),
    /// No place in the tree.
    Path(PathError),
    /// A hardlink that leads nowhere.
    Hardlink {
        /// What it should be another name of.
        target: Box<[u8]>,
        /// Why it cannot be.
        cause: PathError,
    },
    /// More than the limit of something that a small layer can ask for without end.
    Limit {
        /// Of what.
        what: &'static str,
        /// How much of it is allowed.
        limit: u64,
    },
    /// Compression beyond what real files have.
    Ratio {
        /// How many times its size a layer may unpack to.
        limit: u64,
    },
    /// Compressed data that is broken.
    Compression(io::Error),
    /// A zstd window larger than the zstd program takes.
    Window {
        /// What the frame asks for, in bytes.
        window: u64,
        /// What is granted, in bytes.
        limit: u64,
    },
    /// Bytes that are not those that were named.
    Digest(Box<Mismatch>),
    /// The host failed.
    Host {
        /// Verb and object.
        action: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// Another layer failed first.
    Cancelled,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated(what) => write!(f, "the bytes end inside {what}"),
            Self::Checksum => f.write_str("the header's checksum is wrong"),
            Self::Number(field) => write!(f, "{field} is not a number"),
            Self::Range(field) => write!(f, "{field} is out of range"),
            Self::Oversized { what, length, limit } => {
                write!(f, "{what} of {length} bytes, the limit is {limit}")
            }
            Self::Pax(what) => write!(f, "PAX header: {what}"),
            Self::GlobalPax(key) => write!(f, "a global PAX header sets {key}"),
            Self::Repeated(what) => write!(f, "{what} twice for one entry"),
            Self::Orphan => f.write_str("the entry that the last header describes is missing"),
            Self::UnknownType(b) => {
                write!(f, "entries of type '{}' have no place", b.escape_ascii())
            }
            Self::UnexpectedData => f.write_str("an entry of this type holds no data"),
            Self::Sparse(what) => write!(f, "sparse map: {what}"),
            Self::Name(what) => write!(f, "the name {what}"),
            Self::Xattr(what) => write!(f, "extended attribute: {what}"),
            Self::Whiteout(what) => write!(f, "whiteout: {what}"),
            Self::Path(cause) => write!(f, "{cause}"),
            Self::Hardlink { target, cause } => {
                write!(f, "hardlink to {}: {cause}", tree::display(target))
            }
            Self::Limit { what, limit } => write!(f, "more than {limit} {what}"),
            Self::Ratio { limit } => write!(f, "unpacks to more than {limit} times its size"),
            Self::Compression(cause) => write!(f, "broken compressed data: {cause}"),
            Self::Window { window, limit } => {
                write!(f, "a zstd window of {window} bytes, the limit is {limit}")
            }
            Self::Digest(mismatch) => {
                let Mismatch { what, expected, found } = &**mismatch;
                write!(f, "{what} is not {expected}, but {found}")
            }
            Self::Host { action, source } => write!(f, "cannot {action}: {source}"),
            Self::Cancelled => f.write_str("another layer failed"),
        }
    }
}

impl std::error::Error for Fault {}

impl From<PathError> for Fault {
    fn from(cause: PathError) -> Self {
        Self::Path(cause)
    }
}

/// Bytes that hash to something else than they should.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mismatch {
    /// Which bytes.
    pub what: &'static str,
    /// What they should hash to.
    pub expected: Digest,
    /// What they hash to.
    pub found: Digest,
}

/// A fault and where in the uncompressed tar it is.
#[derive(Debug)]
pub struct Located {
    /// Where the entry's first header starts, in bytes from the start of the tar; `None` for what
    /// is wrong with the layer as a whole.
    pub at: Option<u64>,
    /// The entry's name, once it is known.
    pub entry: Option<Box<[u8]>>,
    /// What is wrong.
    pub fault: Fault,
}

impl Located {
    /// Wrong with the layer as a whole.
    pub(crate) fn whole(fault: Fault) -> Self {
        Self { at: None, entry: None, fault }
    }
}

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = self.at {
            write!(f, "at byte {at}")?;
        }
        if let Some(name) = &self.entry {
            write!(f, ", entry {}", tree::display(name))?;
        }
        if self.at.is_some() {
            f.write_str(": ")?;
        }
        write!(f, "{}", self.fault)
    }
}

impl std::error::Error for Located {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_located_fault_names_offset_and_entry() {
        let entry = Some(b"etc/\xffpasswd".as_slice().into());
        let located = Located { at: Some(1536), entry, fault: Fault::Checksum };
        let text = "at byte 1536, entry etc/\\xffpasswd: the header's checksum is wrong";
        assert_eq!(located.to_string(), text);
        let whole = Located::whole(Fault::Ratio { limit: 256 });
        assert_eq!(whole.to_string(), "unpacks to more than 256 times its size");
    }
}
