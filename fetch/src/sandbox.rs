//! The worker shuts itself in before it reads a byte from a network.
//!
//! What remains to it: the descriptors that it was handed, memory, the clock, random bytes, and TCP and UDP
//! to anywhere. It has no name of any file but those in the directory of a release that it was told to read, and cannot become more than it is: every path, every other
//! process, every program and every kind of socket besides are refused with `EPERM`.
//!
//! For what runs inside this means: sizes are asked with `rustix::fs::fstat` (`File::metadata` goes by a
//! call that also takes paths), files are read, not mapped, UDP sockets are connected without being bound
//! (`UdpSocket::bind` is refused), and there are no threads.
//!
//! The starter owes the other half: a user and group of the worker's own, no supplementary groups, no
//! descriptors but those meant for it, `no_new_privs`, and a cgroup that limits its memory.

mod calls;
mod error;
mod lacking;
mod limits;
mod rights;
mod starter;

pub use error::Error;
pub use lacking::{Lacking, Protection};

use pintle_sys::Purpose;
use rustix::fd::BorrowedFd;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::set_no_new_privs;

/// What the worker may use at most.
#[derive(Clone, Copy, Debug)]
pub struct Confinement<'fd> {
    /// A directory whose files it may open to read; no file has a name to it otherwise.
    pub directory: Option<BorrowedFd<'fd>>,
    /// The largest file that it may write, in bytes; what goes beyond fails with `EFBIG`.
    pub file_size_max: u64,
    /// Descriptors open at a time, those that it was handed among them.
    pub descriptors_max: u64,
}

/// Shuts the calling process in, for ever, and says what this kernel has no protection for.
///
/// # Errors
/// When the starter has not done its half, or the kernel refuses a step. The process may be half shut in
/// then, and must end.
pub fn enter(wanted: &Confinement<'_>) -> Result<Lacking, Error> {
    // Looks into /proc, which is out of reach afterwards.
    starter::check()?;
    limits::lower(wanted)?;
    // Nobody of the same user may trace it, and no core dump tells what was in its memory.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).to("forbid tracing")?;
    rights::give_up_capabilities()?;
    // Landlock and seccomp ask for it of everybody who is not root.
    set_no_new_privs(true).to("give up new privileges")?;
    let lacking = rights::give_up_files(wanted.directory)?;
    // The last step: it refuses the calls that the others are made of.
    calls::refuse_all_but_the_needed(wanted.directory)?;
    Ok(lacking)
}
