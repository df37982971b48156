//! The root: a verified image, mounted.

use crate::corruption::Corruption;
use crate::error::{Cause, Error, Result};
use crate::new_mount::{NewMount, Refused};
use crate::{verity_dm, verity_fs};
use pintle_sys::Purpose;
use pintle_verify::verity::Geometry;
use pintle_verify::{Seal, Verified};
use rustix::fd::OwnedFd;
use rustix::fs::fstat;
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, UnmountFlags, unmount};
use std::path::Path;

/// What checks the image's blocks as they are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// dm-verity, over loop devices.
    Dm,
    /// fs-verity; needs Linux 6.12 and a state file system with the `verity` feature.
    Fs,
}

/// A mounted root. That it exists says that the kernel checks every byte read from it against the
/// seal that it was made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// Over `/dev/dm-N`.
    Dm {
        /// The `N`.
        minor: u32,
    },
    /// Straight from the file.
    Fs {
        /// The device of the file system that it is on, as in `vda2`; empty where that has several.
        device: String,
        /// Its inode number there.
        inode: u64,
    },
}

impl Root {
    /// Lets go of a root that is not to become the machine's after all.
    pub fn unmount(&self, at: &Path) -> Result<()> {
        unmount(at, UnmountFlags::DETACH).to("let go of an image")?;
        match self {
            Root::Dm { .. } => verity_dm::remove(),
            Root::Fs { .. } => Ok(()),
        }
    }
}

/// An image's descriptors, open for reading only, and the seal that speaks of them.
pub struct Image<'a> {
    /// `root.img`.
    pub data: OwnedFd,
    /// `root.tree`.
    pub tree: OwnedFd,
    /// What they must be.
    pub seal: &'a Verified<Seal>,
}

/// Mounts an image at `at`, read-only, so that each of its bytes is checked against the seal; `feed`
/// is called every second where that takes long.
pub fn map_and_mount(
    image: &Image<'_>,
    way: Way,
    at: &Path,
    feed: &mut dyn FnMut(),
) -> Result<Root> {
    image.check_sizes()?;
    match way {
        Way::Dm => verity_dm::mount(image, at).map(|mapped| Root::Dm { minor: mapped.minor }),
        Way::Fs => verity_fs::mount(image, at, feed).and_then(|()| image.as_root()),
    }
}

/// Mounts the EROFS in `source`, whose bytes are checked as they are read.
pub(crate) fn mount_erofs(source: &str, at: &Path) -> Result<()> {
    let erofs = NewMount {
        kind: "erofs",
        strings: &[("source", source)],
        flags: &["ro"],
        attributes: MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NODEV,
    };
    erofs.mount(at).map_err(blame)
}

impl Image<'_> {
    /// How the kernel's log calls its file.
    fn as_root(&self) -> Result<Root> {
        let stat = fstat(&self.data).to("look at the image")?;
        let (major, minor) = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
        let link =
            std::fs::read_link(format!("/sys/dev/block/{major}:{minor}")).unwrap_or_default();
        let device = link.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(Root::Fs { device: device.unwrap_or_default(), inode: stat.st_ino })
    }

    fn check_sizes(&self) -> Result<()> {
        let size = self.seal.image_size;
        expect_size("image", &self.data, size)?;
        let geometry = Geometry::of_image(size)
            .map_err(|error| Error::Unexpected(Cause::new("size the tree", error.to_string())))?;
        expect_size("tree", &self.tree, geometry.tree_size())
    }
}

fn expect_size(what: &str, file: &OwnedFd, expected: u64) -> Result<()> {
    let found = fstat(file).map(|stat| stat.st_size.cast_unsigned()).unwrap_or_default();
    if found == expected {
        return Ok(());
    }
    let why = format!("it has {found} bytes, the seal says {expected}");
    Err(Error::Tampered(Cause::new(format!("trust the {what}"), why)))
}

/// An I/O error is verity's doing if verity says so, else the disk's. EROFS on a plain file is
/// refused with ENOTBLK where the kernel cannot do that.
fn blame(refused: Refused) -> Error {
    let corrupt = refused.cause.kernel.iter().any(|line| Corruption::of_log(line).is_some());
    match refused.error.errno {
        Errno::IO if corrupt => Error::Tampered(refused.cause),
        Errno::NOTBLK => Error::Unsupported(refused.cause),
        _ => Error::from(refused),
    }
}
