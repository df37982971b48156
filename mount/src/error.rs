//! What can go wrong, by who must act.

use crate::devices::Present;
use crate::kernel_log::KernelLog;
use crate::modules::Failure;
use pintle_sys as sys;
use rustix::io::Errno;
use std::fmt;
use std::time::Duration;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// Why something could not be found, mounted or taken down.
#[derive(Debug)]
pub enum Error {
    /// The kernel or the initramfs lacks what is needed: for whoever built them. Another way to
    /// the same end may work.
    Unsupported(Cause),
    /// A device did not appear: for the machine's owner.
    Missing(Box<Missing>),
    /// The bytes are not those that the seal speaks of: for whoever answers for the machine.
    Tampered(Cause),
    /// A file system is damaged and could not be repaired: for the machine's owner.
    Damaged(Cause),
    /// The disk does not do its work.
    Hardware(Cause),
    /// Nothing that was foreseen: for us.
    Unexpected(Cause),
}

/// A failed step, with what the kernel said about it.
#[derive(Clone, Debug)]
pub struct Cause {
    /// What was being done, a verb and its object.
    pub what: String,
    /// Why it failed.
    pub why: String,
    /// The kernel's own words, oldest first.
    pub kernel: Vec<String>,
}

/// A device that did not appear, and what is there instead.
#[derive(Clone, Debug)]
pub struct Missing {
    /// The device that was asked for, as in `LABEL=state`.
    pub wanted: String,
    /// How long it was waited for.
    pub waited: Duration,
    /// The block devices that are there.
    pub present: Vec<Present>,
    /// The modules that could not be loaded.
    pub failures: Vec<Failure>,
}

impl Cause {
    /// A step that failed for a reason of our own finding.
    pub(crate) fn new(what: impl Into<String>, why: impl Into<String>) -> Cause {
        Cause { what: what.into(), why: why.into(), kernel: Vec::new() }
    }

    /// A failed system call.
    pub(crate) fn of(error: sys::Error) -> Cause {
        Cause::new(error.what, error.errno.to_string())
    }
}

impl Error {
    /// Adds what the kernel has logged.
    pub(crate) fn with_log(mut self, log: &KernelLog) -> Error {
        if let Some(cause) = self.cause_mut() {
            cause.kernel.extend(log.lines());
        }
        self
    }

    fn cause_mut(&mut self) -> Option<&mut Cause> {
        match self {
            Error::Missing(_) => None,
            Error::Unsupported(cause)
            | Error::Tampered(cause)
            | Error::Damaged(cause)
            | Error::Hardware(cause)
            | Error::Unexpected(cause) => Some(cause),
        }
    }

    /// The failed step, where there is one.
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Error::Missing(_) => None,
            Error::Unsupported(cause)
            | Error::Tampered(cause)
            | Error::Damaged(cause)
            | Error::Hardware(cause)
            | Error::Unexpected(cause) => Some(cause),
        }
    }
}

/// Sorts a failed system call by its errno alone. Calls whose errno means something else say so
/// where they are made.
impl From<sys::Error> for Error {
    fn from(error: sys::Error) -> Error {
        let cause = Cause::of(error);
        match error.errno {
            Errno::NODEV | Errno::NOSYS | Errno::NOTTY | Errno::OPNOTSUPP => {
                Error::Unsupported(cause)
            }
            Errno::IO => Error::Hardware(cause),
            _ => Error::Unexpected(cause),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Missing(missing) => missing.fmt(out),
            Error::Unsupported(cause) => write!(out, "{cause} (kernel or initramfs lacks it)"),
            Error::Tampered(cause)
            | Error::Damaged(cause)
            | Error::Hardware(cause)
            | Error::Unexpected(cause) => cause.fmt(out),
        }
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Cause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "cannot {}: {}", self.what, self.why)?;
        if !self.kernel.is_empty() {
            write!(out, "; kernel: {}", self.kernel.join(" | "))?;
        }
        Ok(())
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.waited.as_secs();
        write!(out, "cannot find device {}: not there after {seconds} s", self.wanted)?;
        list(out, "block devices present", &self.present)?;
        if self.present.is_empty() {
            out.write_str(" (is the disk's driver among the initramfs's modules?)")?;
        }
        if self.failures.is_empty() {
            return Ok(());
        }
        list(out, "modules failed", &self.failures)
    }
}

fn list<T: fmt::Display>(out: &mut fmt::Formatter<'_>, title: &str, items: &[T]) -> fmt::Result {
    write!(out, "; {title}: ")?;
    let Some((first, rest)) = items.split_first() else { return out.write_str("none") };
    write!(out, "{first}")?;
    rest.iter().try_for_each(|item| write!(out, ", {item}"))
}
