//! fs-verity: a file whose bytes the kernel checks against a hash tree as they are read.
//!
//! Source: kernel documentation filesystems/fsverity.

use crate::{Error, Purpose, Result, ioctl};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use rustix::ioctl::{Opcode, opcode};
use std::mem::size_of;

const FS_IOC_ENABLE_VERITY: Opcode = opcode::write::<EnableArgument>(b'f', 133);
const FS_IOC_MEASURE_VERITY: Opcode = opcode::read_write::<DigestHead>(b'f', 134);
const FS_VERITY_HASH_ALG_SHA256: u32 = 1;
const SHA256_LEN: u16 = 32;
const BLOCK: u32 = 4096;

/// Seals a file with SHA-256, 4 KiB blocks and a salt: from then on it is read-only for ever, and
/// reading a block that does not match fails with EIO. Reads the whole file. `file` must be open
/// for reading only, and nobody may have it open for writing.
pub fn enable(file: BorrowedFd<'_>, salt: &[u8; 32]) -> Result<()> {
    let argument = EnableArgument {
        version: 1,
        hash_algorithm: FS_VERITY_HASH_ALG_SHA256,
        block_size: BLOCK,
        salt_size: salt.len() as u32,
        salt_ptr: salt.as_ptr() as u64,
        sig_size: 0,
        reserved1: 0,
        sig_ptr: 0,
        reserved2: [0; 11],
    };
    // SAFETY: the request number carries the 'f' of file systems and this structure's size, so
    // that only fs-verity answers to it; it reads `salt_size` bytes of `salt_ptr`, which is the
    // caller's borrow and outlives the call.
    unsafe { ioctl::set::<FS_IOC_ENABLE_VERITY, _>(file, argument) }.to("enable fs-verity")
}

/// The fs-verity digest of a file, `None` where fs-verity is not enabled on it.
///
/// An answer means that every later read of this very file is checked against this digest.
pub fn measure(file: BorrowedFd<'_>) -> Result<Option<[u8; 32]>> {
    let mut measured = Measured { algorithm: 0, size: SHA256_LEN, digest: [0; 32] };
    // SAFETY: the request number belongs to fs-verity alone; it writes the head and at most
    // `size` bytes after it, which are the structure's own.
    match unsafe { ioctl::update::<FS_IOC_MEASURE_VERITY, _>(file, &mut measured) } {
        Ok(()) => measured.sha256().map(Some),
        Err(Errno::NODATA) => Ok(None),
        Err(errno) => Err(Error { what: "measure a file with fs-verity", errno }),
    }
}

/// `struct fsverity_enable_arg`.
#[repr(C)]
struct EnableArgument {
    version: u32,
    hash_algorithm: u32,
    block_size: u32,
    salt_size: u32,
    salt_ptr: u64,
    sig_size: u32,
    reserved1: u32,
    sig_ptr: u64,
    reserved2: [u64; 11],
}

/// `struct fsverity_digest` without its flexible array; its size is in the request number.
#[repr(C)]
struct DigestHead {
    algorithm: u16,
    size: u16,
}

/// `struct fsverity_digest` with room for SHA-256.
#[repr(C)]
struct Measured {
    algorithm: u16,
    size: u16,
    digest: [u8; 32],
}

const _: () = assert!(size_of::<EnableArgument>() == 128);
const _: () = assert!(size_of::<DigestHead>() == 4);
const _: () = assert!(size_of::<Measured>() == 36);
const _: () = assert!(FS_IOC_ENABLE_VERITY == 0x4080_6685);
const _: () = assert!(FS_IOC_MEASURE_VERITY == 0xC004_6686);

impl Measured {
    fn sha256(self) -> Result<[u8; 32]> {
        let expected = (FS_VERITY_HASH_ALG_SHA256, SHA256_LEN);
        if (u32::from(self.algorithm), self.size) == expected {
            return Ok(self.digest);
        }
        Err(Error { what: "take an fs-verity digest that is not SHA-256", errno: Errno::INVAL })
    }
}
