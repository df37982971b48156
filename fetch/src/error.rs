use std::{fmt, io};

use pintle_fetch::sandbox;
use pintle_update::worker::{self, Failed, Outlook, SAID_MAX};

/// Why the job is not done.
#[derive(Debug)]
pub(crate) enum Error {
    /// The job or an answer.
    Message(worker::Error),
    /// The starter did not hand over what the job needs.
    Files(&'static str),
    /// A descriptor that was handed over.
    Io(io::Error),
    /// It could not shut itself in, and so did nothing.
    Sandbox(sandbox::Error),
    /// What the job says of the registry cannot be used.
    Settings(pintle_registry::Error),
    /// The registry's.
    Registry(pintle_registry::Error),
    /// The release's.
    Transfer(pintle_transfer::Error),
    /// The keys, or the seal.
    Verify(String),
    /// The registry answers with something else than an index.
    NoIndex(String),
}

impl Error {
    fn outlook(&self) -> Outlook {
        match self {
            Self::Registry(cause) if cause.is_transient() => Outlook::MayPass,
            Self::Transfer(cause) if cause.is_of_fetching() => Outlook::MayPass,
            Self::Io(_) | Self::Message(_) => Outlook::MayPass,
            _ => Outlook::WillNot,
        }
    }

    fn retry_after(&self) -> Option<u32> {
        let Self::Registry(cause) = self else { return None };
        cause.retry_after().map(|wait| u32::try_from(wait.as_secs()).unwrap_or(u32::MAX))
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        let text: String = error.to_string().chars().take(SAID_MAX / 8).collect();
        Self { text, outlook: error.outlook(), retry_after: error.retry_after() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(cause) => cause.fmt(f),
            Self::Files(cause) => write!(f, "cannot use the files of the job: {cause}"),
            Self::Io(cause) => write!(f, "cannot use a file of the job: {cause}"),
            Self::Sandbox(cause) => cause.fmt(f),
            Self::Settings(cause) | Self::Registry(cause) => cause.fmt(f),
            Self::Transfer(cause) => cause.fmt(f),
            Self::Verify(cause) => write!(f, "cannot believe the seal: {cause}"),
            Self::NoIndex(found) => {
                write!(f, "cannot use {found}: it is no image index, as pintle push makes one")
            }
        }
    }
}

macro_rules! from {
    ($($variant:ident($type:ty)),+) => { $(
        impl From<$type> for Error {
            fn from(cause: $type) -> Self {
                Self::$variant(cause)
            }
        }
    )+ };
}

from!(
    Message(worker::Error),
    Io(io::Error),
    Sandbox(sandbox::Error),
    Registry(pintle_registry::Error),
    Transfer(pintle_transfer::Error)
);
