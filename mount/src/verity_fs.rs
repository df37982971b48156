//! An image checked by fs-verity, mounted straight from its file.
//!
//! Source: kernel documentation filesystems/fsverity, filesystems/erofs (Linux 6.12,
//! `CONFIG_EROFS_FS_BACKED_BY_FILE`).

use crate::error::{Cause, Error, Result};
use crate::feeding;
use crate::root::{Image, mount_erofs};
use pintle_sys::fsverity;
use pintle_sys::spawn::{Ended, fork};
use pintle_verify::Digest;
use pintle_verify::verity::fsverity_digest;
use rustix::fd::{AsFd, AsRawFd};
use rustix::io::Errno;
use rustix::system::uname;
use std::path::Path;

/// The first Linux with `CONFIG_EROFS_FS_BACKED_BY_FILE`.
const MOUNTS_FILES: (u32, u32) = (6, 12);

/// Measures the image and mounts the very file that was measured at `at`.
pub(crate) fn mount(image: &Image<'_>, at: &Path, feed: &mut dyn FnMut()) -> Result<()> {
    check_kernel(&uname().release().to_string_lossy())?;
    let measured = measure(image, feed)?;
    let seal = image.seal;
    let expected = fsverity_digest(&seal.root_hash, &seal.salt, seal.image_size);
    if measured != expected {
        let why = format!("its fs-verity digest is {measured}, the seal's is {expected}");
        return Err(Error::Tampered(Cause::new("trust the image", why)));
    }
    // The path leads through the open descriptor, whatever has become of the file's name.
    mount_erofs(&format!("/proc/self/fd/{}", image.data.as_raw_fd()), at)
}

/// Before fs-verity is put in force, which reads the whole image, and for nothing where the kernel
/// cannot mount it afterwards.
fn check_kernel(release: &str) -> Result<()> {
    if version(release).is_some_and(|version| version < MOUNTS_FILES) {
        let why = format!("Linux {release} mounts no EROFS from a file, Linux 6.12 does");
        return Err(Error::Unsupported(Cause::new("mount the image from its file", why)));
    }
    Ok(())
}

/// The two numbers that a kernel release begins with.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// The image's fs-verity digest. Where fs-verity is not enabled yet, the kernel reads the whole
/// image now.
fn measure(image: &Image<'_>, feed: &mut dyn FnMut()) -> Result<Digest> {
    let file = image.data.as_fd();
    if let Some(digest) = fsverity::measure(file)? {
        return Ok(Digest::from_bytes(digest));
    }
    enable(image, feed)?;
    let digest = fsverity::measure(file)?;
    digest.map(Digest::from_bytes).ok_or_else(|| {
        Error::Unexpected(Cause::new("measure the image", "fs-verity is on and has no digest"))
    })
}

/// In a child: a slow disk needs longer for a large image than the watchdog waits.
fn enable(image: &Image<'_>, feed: &mut dyn FnMut()) -> Result<()> {
    let child = fork(|| {
        let enabled = fsverity::enable(image.data.as_fd(), &image.seal.salt.fsverity());
        // Every errno of Linux fits; what does not is none of the kernel's.
        enabled.map_or_else(
            |error| u8::try_from(error.errno.raw_os_error()).unwrap_or(u8::MAX),
            |()| 0,
        )
    })?;
    match feeding::wait(&child, feed)? {
        Ended::Exited(0) => Ok(()),
        Ended::Exited(errno) => Err(Error::from(pintle_sys::Error {
            what: "enable fs-verity",
            errno: Errno::from_raw_os_error(errno),
        })),
        Ended::Killed(signal) => {
            let why = format!("the child was ended by signal {signal}");
            Err(Error::Unexpected(Cause::new("enable fs-verity", why)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_kernels_known_to_be_too_old_are_passed_over() {
        for old in ["6.1.0-42-cloud-amd64", "6.11.99", "5.10"] {
            assert!(matches!(check_kernel(old), Err(Error::Unsupported(_))), "{old}");
        }
        for able in ["6.12.38+deb12-cloud-amd64", "6.12", "7.0-rc1", "own", ""] {
            assert!(check_kernel(able).is_ok(), "{able}");
        }
    }
}
