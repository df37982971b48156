use std::{fmt, io};

/// What keeps a release from being made, read or received.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A document of a release that is not of its form, or contradicts another.
    Document {
        /// Which kind.
        what: &'static str,
        /// What is wrong with it.
        cause: String,
    },
    /// Frames, or their table, that are not of the format.
    Frames(&'static str),
    /// Bytes that are not the ones that a hash promised.
    Damaged {
        /// Which blob or file.
        object: &'static str,
        /// Where the first of them begin, in bytes of the blob's content.
        offset: u64,
    },
    /// Where blobs come from gave too little or nothing.
    Fetch {
        /// Which blob.
        object: &'static str,
        /// What it said.
        cause: io::Error,
    },
    /// A file of the machine or of the host failed.
    File {
        /// What was done.
        verb: &'static str,
        /// To what.
        object: String,
        /// The kernel's answer.
        cause: io::Error,
    },
    /// A layout that is none, or lacks something.
    Layout(String),
    /// A delta that does not make the image.
    Delta(String),
    /// A tree or a geometry that is none.
    Verify(pintle_verify::Error),
}

impl Error {
    /// What the way to the blobs said, if it is that which failed.
    pub fn of_fetching(&self) -> Option<&io::Error> {
        match self {
            Self::Fetch { cause, .. } => Some(cause),
            _ => None,
        }
    }

    /// Whether a blob is not where it should come from.
    pub(crate) fn is_missing(&self) -> bool {
        self.of_fetching().is_some_and(|cause| cause.kind() == io::ErrorKind::NotFound)
    }

    pub(crate) fn file(verb: &'static str, object: &str) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::File { verb, object: object.to_owned(), cause }
    }

    pub(crate) fn fetch(object: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Fetch { object, cause }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document { what, cause } => write!(f, "cannot use {what}: {cause}"),
            Self::Frames(cause) => write!(f, "cannot decode image: {cause}"),
            Self::Damaged { object, offset } => {
                write!(f, "cannot trust {object}: wrong bytes at {offset}")
            }
            Self::Fetch { object, cause } => write!(f, "cannot fetch {object}: {cause}"),
            Self::File { verb, object, cause } => write!(f, "cannot {verb} {object}: {cause}"),
            Self::Layout(cause) => write!(f, "cannot use OCI layout: {cause}"),
            Self::Delta(cause) => write!(f, "cannot apply delta: {cause}"),
            Self::Verify(cause) => cause.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Fetch { cause, .. } | Self::File { cause, .. } => Some(cause),
            Self::Verify(cause) => Some(cause),
            _ => None,
        }
    }
}

impl From<pintle_verify::Error> for Error {
    fn from(cause: pintle_verify::Error) -> Self {
        Self::Verify(cause)
    }
}
