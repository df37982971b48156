//! The state partition: mounted, and repaired first where that is needed.

use crate::BlockDevice;
use crate::error::{Error, Result};
use crate::ext4::{Errors, Verity};
use crate::new_mount::{NewMount, Refused};
use crate::repair::{self, Repair};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::path::Path;

/// A mounted state partition.
#[derive(Debug)]
pub struct State {
    /// Whether files on it can be sealed with fs-verity.
    pub verity: Verity,
    /// What had to be repaired first.
    pub repair: Option<Repair>,
    /// Why it is still marked as damaged, where it is.
    pub unrepaired: Option<Error>,
}

/// Mounts the state partition at `at`, read-write. An ext4 that is marked as damaged, or does not
/// mount, is repaired first; `feed` is called every second meanwhile.
pub fn mount(device: &BlockDevice, at: &Path, feed: &mut dyn FnMut()) -> Result<State> {
    let superblock = repair::superblock(device);
    let marked = superblock.as_ref().is_some_and(|it| it.errors == Errors::Found);
    // A marked one that cannot be repaired may still mount, and is better than none.
    let repaired = marked.then(|| repair::repair(device, feed)).transpose();
    match (mount_once(device, at), repaired) {
        (Err(refused), _) if is_damage(refused.error.errno) && may_be_ext4(device) => {
            let repair = repair::repair(device, feed)?;
            mount_once(device, at).map_err(|refused| Error::Damaged(refused.cause))?;
            Ok(State::of(device, Some(repair), None))
        }
        (Err(refused), _) => Err(refused.into()),
        (Ok(()), Ok(repair)) => Ok(State::of(device, repair, None)),
        (Ok(()), Err(error)) => Ok(State::of(device, None, Some(error))),
    }
}

/// What repairs an ext4 ruins another file system, on whose disk an ext4 may have stood before.
fn may_be_ext4(device: &BlockDevice) -> bool {
    device.filesystem().is_none_or(|found| found.kind == "ext4")
}

impl State {
    fn of(device: &BlockDevice, repair: Option<Repair>, unrepaired: Option<Error>) -> State {
        let verity = repair::superblock(device).map_or(Verity::Off, |it| it.verity);
        State { verity, repair, unrepaired }
    }
}

fn mount_once(device: &BlockDevice, at: &Path) -> std::result::Result<(), Refused> {
    let path = device.path();
    let source = path.to_str().unwrap_or_default();
    let kind = device.filesystem().map_or("ext4", |found| found.kind);
    let strings = [("source", source)];
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOATIME;
    NewMount { kind, strings: &strings, flags: &[], attributes }.mount(at)
}

/// What a file system answers when what it reads makes no sense: EUCLEAN, a wrong checksum, or no
/// superblock. An I/O error is not among them: repairing a disk that fails makes things worse.
fn is_damage(errno: Errno) -> bool {
    matches!(errno, Errno::UCLEAN | Errno::BADMSG | Errno::INVAL)
}
