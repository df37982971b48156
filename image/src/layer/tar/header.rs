//! One tar header: a block of 512 bytes, as in pax(1) of POSIX ("ustar Interchange Format") and
//! tar.h of GNU tar.

use std::ops::Range;

use super::number;
use crate::layer::Fault;
use crate::tree::Device;

pub(super) const BLOCK: usize = 512;

const NAME: Range<usize> = 0..100;
const MODE: Range<usize> = 100..108;
const UID: Range<usize> = 108..116;
const GID: Range<usize> = 116..124;
const SIZE: Range<usize> = 124..136;
const MTIME: Range<usize> = 136..148;
const CHECKSUM: Range<usize> = 148..156;
const TYPE: usize = 156;
const LINK: Range<usize> = 157..257;
const MAGIC: Range<usize> = 257..265;
const MAJOR: Range<usize> = 329..337;
const MINOR: Range<usize> = 337..345;
const PREFIX: Range<usize> = 345..500;
/// star keeps times behind a shorter prefix, and says so in the last bytes.
const STAR_PREFIX: Range<usize> = 345..476;
const STAR_MAGIC: Range<usize> = 508..512;

const SPARSE_MAP: Range<usize> = 386..482;
const SPARSE_MORE: usize = 482;
const REAL_SIZE: Range<usize> = 483..495;

/// A header whose checksum is right.
#[derive(Clone, Debug)]
pub(super) struct Header([u8; BLOCK]);

/// Who defined the fields behind the link name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Dialect {
    Old,
    Gnu,
    Ustar,
    Star,
}

impl Header {
    /// `None` for a block of zeros, which ends an archive.
    pub(super) fn parse(block: [u8; BLOCK]) -> Result<Option<Self>, Fault> {
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let stated: i128 = number::field(&block[CHECKSUM], "checksum")?;
        if stated == sum(&block, i128::from) || stated == sum(&block, |b| i128::from(b as i8)) {
            Ok(Some(Self(block)))
        } else {
            Err(Fault::Checksum)
        }
    }

    pub(super) fn kind(&self) -> u8 {
        self.0[TYPE]
    }

    pub(super) fn name(&self) -> Vec<u8> {
        let name = text(&self.0[NAME]);
        match self.prefix() {
            b"" => name.to_vec(),
            prefix => [prefix, b"/", name].concat(),
        }
    }

    pub(super) fn link(&self) -> Vec<u8> {
        text(&self.0[LINK]).to_vec()
    }

    pub(super) fn mode(&self) -> Result<u16, Fault> {
        let mode: u32 = number::within(&self.0[MODE], "mode")?;
        Ok((mode & 0o7777) as u16)
    }

    pub(super) fn uid(&self) -> Result<u64, Fault> {
        number::within(&self.0[UID], "uid")
    }

    pub(super) fn gid(&self) -> Result<u64, Fault> {
        number::within(&self.0[GID], "gid")
    }

    /// Bytes of data behind the header.
    pub(super) fn size(&self) -> Result<u64, Fault> {
        number::within(&self.0[SIZE], "size")
    }

    pub(super) fn mtime(&self) -> Result<i64, Fault> {
        number::within(&self.0[MTIME], "mtime")
    }

    pub(super) fn device(&self) -> Result<Device, Fault> {
        let major = number::within(&self.0[MAJOR], "device major")?;
        Ok(Device { major, minor: number::within(&self.0[MINOR], "device minor")? })
    }

    pub(super) fn is_gnu(&self) -> bool {
        self.dialect() == Dialect::Gnu
    }

    /// The first entries of an old GNU sparse map, and whether a block with more follows.
    pub(super) fn sparse_map(&self) -> (&[u8], bool) {
        (&self.0[SPARSE_MAP], self.0[SPARSE_MORE] != 0)
    }

    /// An old GNU sparse file's size with its holes.
    pub(super) fn real_size(&self) -> Result<u64, Fault> {
        number::within(&self.0[REAL_SIZE], "sparse size")
    }

    fn prefix(&self) -> &[u8] {
        match self.dialect() {
            Dialect::Old | Dialect::Gnu => b"",
            Dialect::Ustar => text(&self.0[PREFIX]),
            Dialect::Star => text(&self.0[STAR_PREFIX]),
        }
    }

    fn dialect(&self) -> Dialect {
        match &self.0[MAGIC] {
            b"ustar  \0" => Dialect::Gnu,
            [b'u', b's', b't', b'a', b'r', 0, ..] if self.0[STAR_MAGIC] == *b"tar\0" => {
                Dialect::Star
            }
            [b'u', b's', b't', b'a', b'r', 0, ..] => Dialect::Ustar,
            _ => Dialect::Old,
        }
    }
}

/// Up to the first NUL.
pub(super) fn text(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    &bytes[..end]
}

/// The checksum field itself counts as spaces. Old programs summed signed bytes.
fn sum(block: &[u8; BLOCK], value: impl Fn(u8) -> i128) -> i128 {
    let counted = |(at, byte): (usize, &u8)| if CHECKSUM.contains(&at) { b' ' } else { *byte };
    block.iter().enumerate().map(counted).map(value).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(mut block: [u8; BLOCK]) -> [u8; BLOCK] {
        let text = format!("{:06o}\0 ", sum(&block, i128::from));
        block[CHECKSUM].copy_from_slice(text.as_bytes());
        block
    }

    fn header(magic: &[u8; 8], prefix: &[u8]) -> Header {
        let mut block = [0; BLOCK];
        block[..4].copy_from_slice(b"name");
        block[MAGIC].copy_from_slice(magic);
        block[345..345 + prefix.len()].copy_from_slice(prefix);
        Header::parse(sealed(block)).unwrap().unwrap()
    }

    #[test]
    fn the_prefix_counts_in_ustar_only() {
        assert_eq!(header(b"ustar\x0000", b"some/dir").name(), b"some/dir/name");
        assert_eq!(header(b"ustar  \0", b"some/dir").name(), b"name");
        assert_eq!(header(&[0; 8], b"some/dir").name(), b"name");
    }

    #[test]
    fn a_flipped_bit_is_seen() {
        let good = sealed(header(b"ustar\x0000", b"").0);
        for at in 0..BLOCK {
            let mut block = good;
            block[at] ^= 1;
            let parsed = Header::parse(block);
            assert!(matches!(parsed, Err(Fault::Checksum | Fault::Number(_))), "byte {at}");
        }
    }

    #[test]
    fn sums_of_signed_bytes_are_taken() {
        let mut block = [0; BLOCK];
        block[0] = 0xff;
        let stated = format!("{:06o}\0 ", sum(&block, |byte| i128::from(byte as i8)));
        block[CHECKSUM].copy_from_slice(stated.as_bytes());
        assert!(Header::parse(block).is_ok());
    }

    #[test]
    fn zeros_are_the_end() {
        assert!(Header::parse([0; BLOCK]).unwrap().is_none());
    }
}
