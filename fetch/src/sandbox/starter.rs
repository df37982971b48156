//! What a process cannot do for itself once it has become somebody, and so expects of its starter.

use std::fs;

use pintle_sys::{Purpose, Result as KernelResult};
use rustix::process::{getegid, geteuid, getgid, getgroups, getuid};

use super::Error;

pub(crate) fn check() -> Result<(), Error> {
    refuse_if(getuid().is_root() || geteuid().is_root(), "it was started as root")?;
    refuse_if(getgid().is_root() || getegid().is_root(), "it was started in root's group")?;
    let groups = getgroups().to("read the groups")?;
    refuse_if(!groups.is_empty(), "it was started with supplementary groups")?;
    // Landlock holds for one thread and its children.
    refuse_if(threads()? != 1, "it has more than one thread")
}

fn refuse_if(undone: bool, what: &'static str) -> Result<(), Error> {
    if undone { Err(Error::Starter(what)) } else { Ok(()) }
}

fn threads() -> KernelResult<usize> {
    let listing = fs::read_dir("/proc/self/task")
        .map_err(|error| rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO));
    listing.map(Iterator::count).to("count the threads")
}
