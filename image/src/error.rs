//! Why the host tool could not do what it was asked; its variants are split by who must act.

use std::error::Error as Cause;
use std::{fmt, io};

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One action that failed: `cannot <verb object>: <cause>`.
#[derive(Debug)]
pub enum Error {
    /// What was given is wrong: the image builder must change it.
    Input {
        /// Verb and object, such as `read module dm-verity.ko.xz`.
        action: String,
        /// What was found and what was expected.
        cause: Box<dyn Cause + Send + Sync>,
    },
    /// The host failed: a file that cannot be opened, a full disk.
    Host {
        /// Verb and object, such as `open keys/release.pem`.
        action: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A program that does part of the work is missing or failed.
    Program {
        /// Verb and object, such as `run mke2fs`.
        action: String,
        /// How it ended and what it printed.
        cause: String,
    },
}

impl Error {
    /// An error in what was given.
    pub fn input(
        action: impl Into<String>,
        cause: impl Into<Box<dyn Cause + Send + Sync>>,
    ) -> Self {
        Self::Input { action: action.into(), cause: cause.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input { action, cause } => write!(f, "cannot {action}: {cause}"),
            Self::Host { action, source } => write!(f, "cannot {action}: {source}"),
            Self::Program { action, cause } => write!(f, "cannot {action}: {cause}"),
        }
    }
}

/// No `source`: `Display` already ends with the cause, and a chain printer would say it twice.
impl Cause for Error {}

/// Says what was being attempted when the host refused.
pub trait Attempt<T> {
    /// `action` is verb and object; it is only made for a failure.
    fn attempt(self, action: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Attempt<T> for io::Result<T> {
    fn attempt(self, action: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::Host { action: action(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_verb_object_cause() {
        let missing = io::Error::from(io::ErrorKind::NotFound);
        let host = Err::<(), _>(missing).attempt(|| "open key a.pem".into()).unwrap_err();
        assert_eq!(host.to_string(), "cannot open key a.pem: entity not found");
        let input = Error::input("read module a.ko", "no .modinfo section");
        assert_eq!(input.to_string(), "cannot read module a.ko: no .modinfo section");
    }
}
