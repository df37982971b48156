use std::fmt;

use rustix::io::Errno;

/// What keeps an entry from being listed, counted, changed or installed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A text that is not the name of an entry.
    Name(String),
    /// A path that a factory reset cannot keep.
    Kept(String),
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
    /// Bytes that are not the ones that the seal vouches for: of a release, a damaged copy; of the
    /// store, a disk that does not keep what it was given.
    Damaged {
        /// Which file.
        object: String,
        /// Where the first such block begins, in bytes.
        offset: u64,
    },
    /// A release whose tree is not the seal's.
    Verify(pintle_verify::Error),
    /// A release that may not be installed here.
    Refused(Refused),
    /// An entry that cannot be rolled back to.
    RollBack {
        /// Its name.
        target: String,
        /// Why not.
        cause: &'static str,
    },
    /// A text that is no machine id.
    MachineId,
    /// A text that is no POSIX time zone rule.
    Zone(String),
    /// Too little room for a release, in bytes.
    Space {
        /// What would be written at most.
        needed: u64,
        /// What there is.
        free: u64,
    },
}

/// Why a release, though its seal is verified, may not be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// It is not the seal file that was verified.
    OtherSeal,
    /// Its sequence is below the machine's floor.
    BelowFloor,
    /// Its seal turned out bad before.
    RememberedBad,
    /// Another image has its sequence.
    SequenceTaken,
    /// Its image is here, with a seal that is as new or newer.
    SealNotNewer,
    /// Another installation is under way.
    Busy,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherSeal => "it is not the seal that was verified",
            Self::BelowFloor => "its sequence is below the machine's floor",
            Self::RememberedBad => "it turned out bad before",
            Self::SequenceTaken => {
                "another image has its sequence: build it with a higher one (--sequence)"
            }
            Self::Busy => "another installation is under way",
            Self::SealNotNewer => "its image is here with a seal that is not older",
        })
    }
}

impl Error {
    /// Whether the store cannot be written at the moment, though nothing is broken.
    pub fn is_read_only(&self) -> bool {
        matches!(self, Self::Store { cause: Errno::ROFS, .. })
    }

    /// Whether there was no room for a name or for data.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Store { cause: Errno::NOSPC | Errno::DQUOT, .. } | Self::Space { .. })
    }

    /// The kernel's answer, where it is one's.
    pub(crate) fn cause(&self) -> Errno {
        match self {
            Self::Store { cause, .. } => *cause,
            _ => Errno::IO,
        }
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
            Self::Kept(found) => {
                write!(f, "cannot keep {found:?}: expected an absolute path below /etc or /var")
            }
            Self::Tries(found) => write!(f, "cannot give {found} tries: expected 1 to 9"),
            Self::Store { verb, object, cause } => write!(f, "cannot {verb} {object}: {cause}"),
            Self::Abandoned => write!(f, "cannot write to the store: an earlier sync failed"),
            Self::File { object, cause } => write!(f, "cannot use {object}: {cause}"),
            Self::Damaged { object, offset } => {
                write!(f, "cannot trust {object}: wrong bytes in the block at {offset}")
            }
            Self::Verify(cause) => cause.fmt(f),
            Self::Refused(cause) => write!(f, "cannot install release: {cause}"),
            Self::RollBack { target, cause } => write!(f, "cannot roll back to {target}: {cause}"),
            Self::MachineId => {
                f.write_str("cannot read machine id: expected 32 hexadecimal digits")
            }
            Self::Zone(found) => {
                write!(f, "cannot read time zone {found:?}: expected a POSIX rule, such as UTC0")
            }
            Self::Space { needed, free } => {
                write!(f, "cannot install release: {needed} bytes needed, {free} free")
            }
        }
    }
}

impl std::error::Error for Error {}

impl From<pintle_verify::Error> for Error {
    fn from(cause: pintle_verify::Error) -> Self {
        Self::Verify(cause)
    }
}

impl From<Refused> for Error {
    fn from(cause: Refused) -> Self {
        Self::Refused(cause)
    }
}
