use std::fmt;

use landlock::RulesetError;

/// Why the worker could not shut itself in.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The starter has not done its half: what it left undone.
    Starter(&'static str),
    /// The kernel refused a step.
    Kernel(pintle_sys::Error),
    /// The kernel has Landlock, and refused the rules.
    Landlock(RulesetError),
    /// The kernel has no seccomp filters, or refused this one.
    Seccomp(seccompiler::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Starter(undone) => write!(out, "cannot enter the sandbox: {undone}"),
            Error::Kernel(error) => error.fmt(out),
            Error::Landlock(error) => write!(out, "cannot give up files by Landlock: {error}"),
            Error::Seccomp(error) => write!(out, "cannot refuse system calls: {error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Starter(_) => None,
            Error::Kernel(error) => Some(error),
            Error::Landlock(error) => Some(error),
            Error::Seccomp(error) => Some(error),
        }
    }
}

impl From<pintle_sys::Error> for Error {
    fn from(error: pintle_sys::Error) -> Error {
        Error::Kernel(error)
    }
}

impl From<RulesetError> for Error {
    fn from(error: RulesetError) -> Error {
        Error::Landlock(error)
    }
}

impl From<seccompiler::Error> for Error {
    fn from(error: seccompiler::Error) -> Error {
        Error::Seccomp(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_verb_object_cause() {
        let owed = Error::Starter("it was started as root").to_string();
        assert_eq!(owed, "cannot enter the sandbox: it was started as root");
        let empty = Error::from(seccompiler::Error::EmptyFilter).to_string();
        assert_eq!(empty, "cannot refuse system calls: Cannot install empty filter.");
    }
}
