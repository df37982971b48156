//! The state partition: mounted, and repaired first where that is needed.

use crate::BlockDevice;
use crate::error::{Error, Result};
use crate::ext4::{Errors, Superblock, Verity};
use crate::new_mount::{NewMount, Refused};
use crate::repair::{self, Repair};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::path::Path;

/// A mounted state partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Whether files on it can be sealed with fs-verity.
    pub verity: Verity,
    /// Whether it is still marked as damaged.
    pub errors: Errors,
    /// What had to be repaired first.
    pub repair: Option<Repair>,
}

/// Mounts the state partition at `at`, read-write. An ext4 that is marked as damaged, or does not
/// mount, is repaired first; `feed` is called every second meanwhile.
pub fn mount(device: &BlockDevice, at: &Path, feed: &mut dyn FnMut()) -> Result<State> {
    let superblock = repair::superblock(device);
    let marked = superblock.as_ref().is_some_and(|it| it.errors == Errors::Found);
    // A marked one that cannot be repaired may still mount, and is better than none.
    let repair = if marked { repair::repair(device, feed).ok() } else { None };
    match mount_once(device, at) {
        Err(refused) if is_damage(refused.error.errno) => {
            let repair = repair::repair(device, feed)?;
            mount_once(device, at).map_err(|refused| Error::Damaged(refused.cause))?;
            Ok(State::new(repair::superblock(device), Some(repair)))
        }
        Err(refused) => Err(refused.into()),
        Ok(()) if repair.is_some() => Ok(State::new(repair::superblock(device), repair)),
        Ok(()) => Ok(State::new(superblock, None)),
    }
}

impl State {
    fn new(superblock: Option<Superblock>, repair: Option<Repair>) -> State {
        let (verity, errors) = superblock.map_or((Verity::Off, Errors::None), |superblock| {
            (superblock.verity, superblock.errors)
        });
        State { verity, errors, repair }
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
