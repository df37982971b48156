//! An image checked by dm-verity, over loop devices.
//!
//! Source: kernel documentation admin-guide/device-mapper/verity.

use crate::error::{Error, Result};
use crate::kernel_log::KernelLog;
use crate::root::{Image, mount_erofs};
use pintle_sys as sys;
use pintle_sys::dm::{Control, Mapped, Removal, Target};
use pintle_sys::loopdev::Loop;
use pintle_verify::Seal;
use pintle_verify::verity::BLOCK;
use rustix::fd::AsFd;
use rustix::io::Errno;
use std::path::Path;

/// The mapped device under a root.
pub(crate) const NAME: &str = "pintle-root";

const SECTOR: u64 = 512;

/// Maps the image and mounts it at `at`. The mapped device goes when the mount does, at once when
/// that fails.
pub(crate) fn mount(image: &Image<'_>, at: &Path) -> Result<Mapped> {
    let log = KernelLog::from_now();
    let control = Control::open().map_err(lacking)?;
    let mapped = map(&control, image).map_err(|error| lacking(error).with_log(&log))?;
    let mounted = mount_erofs(&format!("/dev/dm-{}", mapped.minor), at);
    control.remove(NAME, Removal::Deferred)?;
    mounted.map(|()| mapped)
}

/// Removes the mapped device now, where it has not gone with its mount yet: the next image wants
/// its name.
pub(crate) fn remove() -> Result<()> {
    match Control::open()?.remove(NAME, Removal::Deferred) {
        Err(error) if error.errno == Errno::NXIO => Ok(()),
        outcome => outcome.map_err(Into::into),
    }
}

/// From here on the table holds the loop devices, and they go with it.
fn map(control: &Control, image: &Image<'_>) -> sys::Result<Mapped> {
    let data = Loop::attach(image.data.as_fd())?;
    let hash = Loop::attach(image.tree.as_fd())?;
    let parameters = parameters(data.device(), hash.device(), image.seal);
    let sectors = image.seal.image_size / SECTOR;
    control.create_read_only(NAME, Target { kind: "verity", sectors, parameters: &parameters })
}

/// What a target of verity is told: version 1, SHA-256 in 4 KiB blocks, the first hash block after
/// the superblock. No option, so that a wrong block is an I/O error and the machine goes on.
fn parameters(data: (u32, u32), hash: (u32, u32), seal: &Seal) -> String {
    let blocks = seal.image_size / BLOCK as u64;
    format!(
        "1 {}:{} {}:{} {BLOCK} {BLOCK} {blocks} 1 sha256 {} {}",
        data.0,
        data.1,
        hash.0,
        hash.1,
        seal.root_hash.hex(),
        seal.salt.hex()
    )
}

/// A missing device node is a missing driver. The table's sizes were checked before, so that the
/// kernel calls it invalid only when it does not know `verity` or `sha256`.
fn lacking(error: sys::Error) -> Error {
    match (Error::from(error), error.errno) {
        (Error::Unexpected(cause), Errno::NOENT | Errno::NXIO | Errno::INVAL) => {
            Error::Unsupported(cause)
        }
        (other, _) => other,
    }
}
