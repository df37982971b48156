//! The mounts of a thread, apart from those of all others.

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, unshare};
use rustix::mount::{MountPropagationFlags, mount_change};

/// That this thread, and those that it starts, have mounts of their own.
///
/// Whoever makes a mount namespace elsewhere gets a copy of every mount there, and with it keeps a file system alive after it
/// was unmounted here.
#[derive(Debug)]
pub struct Mounts(());

impl Mounts {
    /// Leaves the others' mounts.
    ///
    /// # Errors
    /// Without root.
    pub fn enter() -> Result<Mounts> {
        unshare(CloneFlags::CLONE_NEWNS).context("cannot make a mount namespace")?;
        mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)
            .context("cannot keep mounts from other namespaces")?;
        Ok(Mounts(()))
    }
}
