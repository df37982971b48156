//! The machine form: a version byte, then postcard.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why bytes are not a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// There are more bytes than the format allows.
    TooLong {
        /// What was read or written.
        what: &'static str,
        /// How many bytes there are.
        length: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The bytes are of another version of the format.
    Version {
        /// What was read.
        what: &'static str,
        /// The first byte, if there is one.
        found: Option<u8>,
        /// The version that this program reads.
        expected: u8,
    },
    /// The bytes are not what the version byte promises, or a value in them is out of its range.
    Malformed {
        /// What was read.
        what: &'static str,
        /// What postcard says.
        cause: postcard::Error,
    },
    /// Bytes follow where the configuration ends.
    Trailing {
        /// What was read.
        what: &'static str,
        /// How many bytes follow.
        length: usize,
    },
    /// Each value is right, but not beside the others.
    Contradiction {
        /// What was read or written.
        what: &'static str,
        /// What does not go together.
        cause: &'static str,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { what, length, limit } => {
                write!(f, "cannot use {what}: it has {length} bytes, of which {limit} are allowed")
            }
            Self::Version { what, found: Some(found), expected } => {
                write!(f, "cannot decode {what}: it has version {found}, expected {expected}")
            }
            Self::Version { what, found: None, .. } => {
                write!(f, "cannot decode {what}: it is empty")
            }
            Self::Malformed { what, cause } => write!(f, "cannot decode {what}: {cause}"),
            Self::Trailing { what, length } => {
                write!(f, "cannot decode {what}: {length} bytes follow its end")
            }
            Self::Contradiction { what, cause } => write!(f, "cannot use {what}: {cause}"),
        }
    }
}

impl std::error::Error for Error {}

/// What one file's bytes look like.
pub(crate) struct Format {
    /// The file's name, for messages.
    pub(crate) what: &'static str,
    /// The first byte.
    pub(crate) version: u8,
    /// The limit for all bytes, the first one included.
    pub(crate) bytes_max: usize,
}

impl Format {
    pub(crate) fn contradiction(&self, cause: &'static str) -> Error {
        Error::Contradiction { what: self.what, cause }
    }

    fn within_limit(&self, length: usize) -> Result<(), Error> {
        let (what, limit) = (self.what, self.bytes_max);
        if length <= limit { Ok(()) } else { Err(Error::TooLong { what, length, limit }) }
    }
}

pub(crate) fn encode(format: &Format, value: &impl Serialize) -> Result<Vec<u8>, Error> {
    let bytes = postcard::to_extend(value, vec![format.version])
        .map_err(|cause| Error::Malformed { what: format.what, cause })?;
    format.within_limit(bytes.len())?;
    Ok(bytes)
}

pub(crate) fn decode<T: DeserializeOwned>(format: &Format, bytes: &[u8]) -> Result<T, Error> {
    format.within_limit(bytes.len())?;
    match postcard::take_from_bytes(body(format, bytes)?) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(Error::Trailing { what: format.what, length: rest.len() }),
        Err(cause) => Err(Error::Malformed { what: format.what, cause }),
    }
}

fn body<'a>(format: &Format, bytes: &'a [u8]) -> Result<&'a [u8], Error> {
    let (what, expected) = (format.what, format.version);
    match bytes.split_first() {
        Some((found, body)) if *found == expected => Ok(body),
        Some((found, _)) => Err(Error::Version { what, found: Some(*found), expected }),
        None => Err(Error::Version { what, found: None, expected }),
    }
}
