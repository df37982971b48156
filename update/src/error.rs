use std::fmt;

use rustix::io::Errno;

/// What keeps an entry from being listed, counted, changed or installed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A text that is not the name of an entry.
    Name(String),
    /// A number of tries that does not fit one digit, or is none.
    Tries(u8),
    /// The store's file system refused, or its disk failed.
    Store {
        /// What was done.
        verb: &'static str,
        /// To what, from the store's root.
        object: String,
        /// The kernel's answer.
        cause: Errno,
    },
    /// A sync failed before. What it should have saved is lost, and a second one would only
    /// pretend; nothing more is written until the store is opened anew.
    Abandoned,
    /// A file of an entry, or of a release, is not of its kind.
    File {
        /// Which, from the store's root.
        object: String,
        /// What is wrong with it.
        cause: &'static str,
    },
}

impl Error {
    /// Whether the store cannot be written at the moment, though nothing is broken.
    pub fn is_read_only(&self) -> bool {
        matches!(self, Self::Store { cause: Errno::ROFS, .. })
    }

    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Store { cause: Errno::NOENT, .. })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(found) => write!(
                f,
                "cannot read entry name {found:?}: expected <sequence>_<version>[+<left>-<done>]"
            ),
            Self::Tries(found) => write!(f, "cannot give {found} tries: expected 1 to 9"),
            Self::Store { verb, object, cause } => write!(f, "cannot {verb} {object}: {cause}"),
            Self::Abandoned => write!(f, "cannot write to the store: an earlier sync failed"),
            Self::File { object, cause } => write!(f, "cannot use {object}: {cause}"),
        }
    }
}

impl std::error::Error for Error {}
