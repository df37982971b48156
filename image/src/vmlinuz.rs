//! Kernel images: finding one in a package, its release, and the ELF file inside.
//!
//! Source: the kernel's Documentation/arch/x86/boot.rst (`payload_offset`, `kernel_version`).

mod payload;
mod source;

pub use source::read_kernel;

use crate::{Error, Result};

/// Offsets in the setup header, which all begin at the image's first byte.
const SETUP_SECTORS: usize = 0x1f1;
const MAGIC: usize = 0x202;
const PROTOCOL: usize = 0x206;
const KERNEL_VERSION: usize = 0x20e;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;
/// The first boot protocol (2.08, of Linux 2.6.26) that tells where the payload is.
const PROTOCOL_WITH_PAYLOAD: u16 = 0x0208;
const SECTOR: usize = 512;

/// A bzImage, as x86 boot loaders start it.
pub struct BzImage<'a>(&'a [u8]);

impl<'a> BzImage<'a> {
    /// Takes `image` if it is one.
    pub fn new(image: &'a [u8]) -> Option<Self> {
        (image.get(MAGIC..MAGIC + 4)? == b"HdrS").then_some(Self(image))
    }

    /// The kernel's release, as `uname -r` prints it: the first word of its version.
    pub fn release(&self) -> Option<&'a str> {
        let at = usize::from(self.half(KERNEL_VERSION)?);
        let version = self.0.get(at.checked_add(SECTOR)?..)?;
        let end = version.iter().position(|byte| matches!(byte, 0 | b' '))?;
        str::from_utf8(version.get(..end)?).ok().filter(|release| !release.is_empty())
    }

    /// The kernel's ELF file, decompressed.
    pub fn vmlinux(&self) -> Result<Vec<u8>> {
        let payload = self.payload().ok_or_else(|| refuse("its header names no payload"))?;
        let elf = payload::decompress(payload)?;
        match elf.starts_with(b"\x7fELF") {
            true => Ok(elf),
            false => Err(refuse("its payload is no ELF file")),
        }
    }

    fn payload(&self) -> Option<&'a [u8]> {
        if self.half(PROTOCOL)? < PROTOCOL_WITH_PAYLOAD {
            return None;
        }
        // Zero means four, for very old boot loaders.
        let sectors =
            Some(*self.0.get(SETUP_SECTORS)?).filter(|&sectors| sectors != 0).unwrap_or(4);
        let protected_mode = (usize::from(sectors) + 1) * SECTOR;
        let start = protected_mode.checked_add(self.word(PAYLOAD_OFFSET)?)?;
        self.0.get(start..start.checked_add(self.word(PAYLOAD_LENGTH)?)?)
    }

    fn half(&self, at: usize) -> Option<u16> {
        Some(u16::from_le_bytes(*self.0.get(at..)?.first_chunk()?))
    }

    fn word(&self, at: usize) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(*self.0.get(at..)?.first_chunk()?)).ok()
    }
}

fn refuse(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::input("decompress the kernel", cause)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A bzImage of this release whose payload is as given.
    pub(crate) fn bzimage(release: &str, payload: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 3 * SECTOR];
        image[SETUP_SECTORS] = 2;
        image[MAGIC..MAGIC + 4].copy_from_slice(b"HdrS");
        image[PROTOCOL..PROTOCOL + 2].copy_from_slice(&0x020f_u16.to_le_bytes());
        image[KERNEL_VERSION..KERNEL_VERSION + 2].copy_from_slice(&0x100_u16.to_le_bytes());
        let version = format!("{release} (builder@host) #1 SMP\0");
        image[0x300..0x300 + version.len()].copy_from_slice(version.as_bytes());
        image[PAYLOAD_OFFSET..PAYLOAD_OFFSET + 4].copy_from_slice(&16u32.to_le_bytes());
        let length = (payload.len() as u32).to_le_bytes();
        image[PAYLOAD_LENGTH..PAYLOAD_LENGTH + 4].copy_from_slice(&length);
        [&image, &[0; 16][..], payload, b"what follows"].concat()
    }

    /// The compressed kernel, and its size as the kernel's build appends it.
    fn sized(compressed: &[u8], size: usize) -> Vec<u8> {
        [compressed, &(size as u32).to_le_bytes()].concat()
    }

    fn refusal(image: &[u8]) -> String {
        BzImage::new(image).unwrap().vmlinux().unwrap_err().to_string()
    }

    #[test]
    fn the_release_is_the_first_word_of_the_version() {
        let image = bzimage("6.1.0-42-cloud-amd64", b"");
        assert_eq!(BzImage::new(&image).unwrap().release(), Some("6.1.0-42-cloud-amd64"));
        assert_eq!(BzImage::new(&bzimage("", b"")).unwrap().release(), None);
        assert!(BzImage::new(b"\x7fELF").is_none());
    }

    #[test]
    fn a_payload_is_decompressed_to_the_size_that_follows_it() {
        let elf = [b"\x7fELF".as_slice(), &[7; 5000]].concat();
        let payload = sized(&zstd::encode_all(elf.as_slice(), 1).unwrap(), elf.len());
        assert_eq!(BzImage::new(&bzimage("1", &payload)).unwrap().vmlinux().unwrap(), elf);
    }

    #[test]
    fn what_holds_no_kernel_is_refused() {
        let text = zstd::encode_all(&b"no ELF file"[..], 1).unwrap();
        let cases = [
            (bzimage("1", &sized(&text, 11)), "its payload is no ELF file"),
            (bzimage("1", &sized(&text, 12)), "it has 11 bytes, and not 12 as it says"),
            (bzimage("1", &sized(&text, 10)), "more than the 10 bytes that it says"),
            (bzimage("1", &sized(&text[..12], 11)), ""),
            (bzimage("1", &sized(b"none", 4)), "unknown way"),
            (bzimage("1", b"123"), "too short"),
            (bzimage("1", b"12345")[..0x200 + 0x110].to_vec(), "names no payload"),
        ];
        for (image, cause) in cases {
            let refusal = refusal(&image);
            assert!(refusal.starts_with("cannot decompress the kernel: "), "{refusal}");
            assert!(refusal.contains(cause), "{refusal:?} has no {cause:?}");
        }
    }

    #[test]
    fn an_old_protocol_names_no_payload() {
        let mut image = bzimage("1", b"12345");
        image[PROTOCOL] = 7;
        assert!(refusal(&image).contains("names no payload"));
    }
}
