//! The machine's own `/etc` and `/var` over the image's.
//!
//! Source: kernel documentation filesystems/overlayfs.

use crate::error::{Cause, Error, Result};
use crate::new_mount::NewMount;
use pintle_sys::Purpose;
use rustix::fs::{Mode, mkdir};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, mount_bind};
use std::path::Path;

const DIRECTORY: Mode = Mode::from_raw_mode(0o755);

/// Lays a writable layer over the directory `at`. `home` is a directory that holds the layer
/// (`upper`) and what overlayfs needs beside it (`work`); whether changes survive the boot depends
/// on the file system that it is on.
///
/// The image below changes from one boot to the next, so everything that would tie the layer to
/// one lower file system is off.
pub fn lay_over(at: &Path, home: &Path) -> Result<()> {
    let (upper, work) = (home.join("upper"), home.join("work"));
    for directory in [home, &upper, &work] {
        make_directory(directory)?;
    }
    let strings = [
        ("source", "overlay"),
        ("lowerdir", text(at)?),
        ("upperdir", text(&upper)?),
        ("workdir", text(&work)?),
        ("index", "off"),
        ("metacopy", "off"),
        ("redirect_dir", "nofollow"),
    ];
    let attributes = MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID;
    let overlay = NewMount { kind: "overlay", strings: &strings, flags: &[], attributes };
    overlay.mount(at).map_err(Error::from)
}

/// Shows the directory `source`, made if it is missing, at `at`.
pub fn bind(source: &Path, at: &Path) -> Result<()> {
    make_directory(source)?;
    mount_bind(source, at).to("bind a directory").map_err(Error::from)
}

fn make_directory(path: &Path) -> Result<()> {
    match mkdir(path, DIRECTORY) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        failed => failed.to("make a directory for local changes").map_err(Error::from),
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| {
        let why = format!("{} is not UTF-8", path.display());
        Error::Unexpected(Cause::new("name a layer", why))
    })
}
