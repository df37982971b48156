//! Limits that the kernel keeps for one process.

use nix::sys::signal::{SigSet, Signal};
use pintle_sys::{Purpose, Result};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, setrlimit};

use super::Confinement;

/// Lowers what can be lowered, soft and hard.
///
/// `RLIMIT_NPROC` belongs here and not to the starter: a process over it cannot be given a user and then a
/// program (`EAGAIN`, execve(2)).
pub(crate) fn lower(wanted: &Confinement<'_>) -> Result<()> {
    let limits = [
        (Resource::Fsize, wanted.file_size_max),
        (Resource::Nofile, wanted.descriptors_max),
        (Resource::Nproc, 0),
        (Resource::Core, 0),
        (Resource::Memlock, 0),
        (Resource::Msgqueue, 0),
    ];
    limits.into_iter().try_for_each(|(resource, most)| lower_to(resource, most))?;
    outlive_full_files()
}

fn lower_to(resource: Resource, most: u64) -> Result<()> {
    let limit = Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(resource, limit).to("lower a resource limit")
}

/// A write beyond `RLIMIT_FSIZE` kills by default; with the signal blocked it is an error, which can be told.
fn outlive_full_files() -> Result<()> {
    let blocked = SigSet::from(Signal::SIGXFSZ).thread_block();
    blocked.map_err(|errno| Errno::from_raw_os_error(errno as i32)).to("block a signal")
}
