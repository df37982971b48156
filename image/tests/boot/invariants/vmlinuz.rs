//! Whatever the bytes, reading them as a bzImage ends, does not panic, and gives nothing
//! but an ELF file; the release is a word of the bytes.

use pintle_image::vmlinuz::BzImage;

/// Says whether a kernel was found.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let Some(image) = BzImage::new(bytes) else { return false };
    if let Some(release) = image.release() {
        assert!(!release.is_empty() && !release.contains([' ', '\0']));
    }
    let Ok(kernel) = image.vmlinux() else { return false };
    assert!(kernel.starts_with(b"\x7fELF"));
    true
}
