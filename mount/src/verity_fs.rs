//! An image checked by fs-verity, mounted straight from its file.
//!
//! Source: kernel documentation filesystems/fsverity, filesystems/erofs (Linux 6.12,
//! `CONFIG_EROFS_FS_BACKED_BY_FILE`).

use crate::error::{Cause, Error, Result};
use crate::root::{Image, mount_erofs};
use pintle_sys::fsverity;
use pintle_verify::Digest;
use pintle_verify::verity::fsverity_digest;
use rustix::fd::{AsFd, AsRawFd};
use std::path::Path;

/// Measures the image and mounts the very file that was measured at `at`.
pub(crate) fn mount(image: &Image<'_>, at: &Path) -> Result<()> {
    let measured = measure(image)?;
    let seal = image.seal;
    let expected = fsverity_digest(&seal.root_hash, &seal.salt, seal.image_size);
    if measured != expected {
        let why = format!("its fs-verity digest is {measured}, the seal's is {expected}");
        return Err(Error::Tampered(Cause::new("trust the image", why)));
    }
    // The path leads through the open descriptor, whatever has become of the file's name.
    mount_erofs(&format!("/proc/self/fd/{}", image.data.as_raw_fd()), at)
}

/// The image's fs-verity digest. Where fs-verity is not enabled yet, the kernel reads the whole
/// image now.
fn measure(image: &Image<'_>) -> Result<Digest> {
    let file = image.data.as_fd();
    if let Some(digest) = fsverity::measure(file)? {
        return Ok(Digest::from_bytes(digest));
    }
    fsverity::enable(file, &image.seal.salt.fsverity())?;
    let digest = fsverity::measure(file)?;
    digest.map(Digest::from_bytes).ok_or_else(|| {
        Error::Unexpected(Cause::new("measure the image", "fs-verity is on and has no digest"))
    })
}
