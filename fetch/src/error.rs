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
        let may_pass = match (self, self.of_registry()) {
            (_, Some(cause)) => cause.is_transient(),
            (Self::Transfer(cause), None) => cause.of_fetching().is_some(),
            (Self::Io(_) | Self::Message(_), None) => true,
            _ => false,
        };
        if may_pass { Outlook::MayPass } else { Outlook::WillNot }
    }

    fn retry_after(&self) -> Option<u32> {
        let wait = self.of_registry()?.retry_after()?;
        Some(u32::try_from(wait.as_secs()).unwrap_or(u32::MAX))
    }

    /// What the registry or the way to it said, to whichever question.
    fn of_registry(&self) -> Option<&pintle_registry::Error> {
        match self {
            Self::Registry(cause) => Some(cause),
            Self::Transfer(cause) => pintle_registry::Error::of_io(cause.of_fetching()?),
            _ => None,
        }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pintle_registry::Cause;

    use super::*;

    fn request(code: u16, retry_after: Option<Duration>) -> pintle_registry::Error {
        let cause = Cause::Status { code, detail: String::new(), retry_after };
        pintle_registry::Error::Request { verb: "fetch", object: "a blob".into(), cause }
    }

    fn within_a_blob(cause: io::Error) -> Error {
        Error::Transfer(pintle_transfer::Error::Fetch { object: "the image", cause })
    }

    #[test]
    fn what_the_registry_says_counts_wherever_it_says_it() {
        let (busy, gone) = (request(503, Some(Duration::from_secs(90))), request(404, None));
        for error in [Error::Registry(busy.clone()), within_a_blob(io::Error::other(busy))] {
            let Failed { outlook, retry_after, .. } = error.into();
            assert_eq!((outlook, retry_after), (Outlook::MayPass, Some(90)));
        }
        for error in [Error::Registry(gone.clone()), within_a_blob(io::Error::other(gone))] {
            let Failed { outlook, retry_after, .. } = error.into();
            assert_eq!((outlook, retry_after), (Outlook::WillNot, None));
        }
        let cut = within_a_blob(io::ErrorKind::UnexpectedEof.into());
        assert_eq!(Failed::from(cut).outlook, Outlook::MayPass);
    }
}
