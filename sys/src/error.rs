//! A failed system call, with what it was for.

use rustix::io::Errno;
use std::fmt;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// A system call that failed: what it was for, and the kernel's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// A verb and its object, as in "attach the image to a loop device".
    pub what: &'static str,
    /// The kernel's answer.
    pub errno: Errno,
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "cannot {}: {}", self.what, self.errno)
    }
}

impl std::error::Error for Error {}

/// Gives a bare errno its purpose.
pub trait Purpose<T> {
    /// Names what the call was for: `open(..).to("open the loop control")`.
    fn to(self, what: &'static str) -> Result<T>;
}

impl<T> Purpose<T> for rustix::io::Result<T> {
    fn to(self, what: &'static str) -> Result<T> {
        self.map_err(|errno| Error { what, errno })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_verb_object_cause() {
        let error = Err::<(), _>(Errno::NOENT).to("open the watchdog").unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot open the watchdog: No such file or directory (os error 2)"
        );
    }
}
