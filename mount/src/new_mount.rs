//! A file system mounted through `fsopen`, which can say why it failed.
//!
//! Source: fsopen(2), fsconfig(2), fsmount(2), move_mount(2).

use crate::error::{Cause, Error};
use crate::kernel_log::KernelLog;
use pintle_sys::{self as sys, Purpose};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::CWD;
use rustix::io::{Errno, read};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, move_mount,
};
use std::path::Path;

/// The kernel keeps eight messages for a context.
const MESSAGES_MAX: usize = 8;
const MESSAGE_MAX: usize = 1024;

/// A mount to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewMount<'a> {
    /// File system type.
    pub(crate) kind: &'a str,
    /// Options with a value, `source` among them.
    pub(crate) strings: &'a [(&'a str, &'a str)],
    /// Options without one.
    pub(crate) flags: &'a [&'a str],
    /// What holds for this mount alone.
    pub(crate) attributes: MountAttrFlags,
}

/// Why a mount was not made.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) error: sys::Error,
    /// The kernel's words: those of the context first, then those of its log.
    pub(crate) cause: Cause,
}

impl NewMount<'_> {
    /// Makes the mount and puts it at `at`.
    pub(crate) fn mount(&self, at: &Path) -> std::result::Result<(), Refused> {
        let log = KernelLog::from_now();
        let context = fsopen(self.kind, FsOpenFlags::FSOPEN_CLOEXEC)
            .to("open a file system of this type")
            .map_err(|error| self.refused(error, log.lines()))?;
        self.create(context.as_fd()).and_then(|mount| attach(&mount, at)).map_err(|error| {
            let said = messages(&context).chain(log.lines());
            self.refused(error, said.collect())
        })
    }

    fn create(&self, context: BorrowedFd<'_>) -> sys::Result<OwnedFd> {
        for (key, value) in self.strings {
            fsconfig_set_string(context, *key, *value).to("set a mount option")?;
        }
        for flag in self.flags {
            fsconfig_set_flag(context, *flag).to("set a mount flag")?;
        }
        fsconfig_create(context).to("read the file system")?;
        fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, self.attributes).to("make the mount")
    }

    fn refused(&self, error: sys::Error, kernel: Vec<String>) -> Refused {
        let what = format!("mount {}, to {}", self.kind, error.what);
        Refused { error, cause: Cause { what, why: error.errno.to_string(), kernel } }
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Error {
        match refused.error.errno {
            Errno::NODEV | Errno::NOSYS => Error::Unsupported(refused.cause),
            Errno::IO => Error::Hardware(refused.cause),
            _ => Error::Unexpected(refused.cause),
        }
    }
}

fn attach(mount: &OwnedFd, at: &Path) -> sys::Result<()> {
    move_mount(mount, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .to("put the mount in its place")
}

/// The context's own log: a read gives one message, `e text` for an error.
fn messages(context: &OwnedFd) -> impl Iterator<Item = String> {
    let next = move || {
        let mut buffer = [0; MESSAGE_MAX];
        let length = read(context, &mut buffer).ok()?;
        Some(String::from_utf8_lossy(buffer.get(..length)?).trim_end().to_owned())
    };
    std::iter::from_fn(next).take(MESSAGES_MAX)
}
