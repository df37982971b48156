//! The superblock of ext4: who a file system is and how it was left.
//!
//! Source: kernel documentation filesystems/ext4/super.

use crc32c::crc32c;

/// Bytes of a superblock.
pub const LEN: usize = 1024;

/// Where the primary superblock stands on its device.
pub const PRIMARY_OFFSET: u64 = 1024;

const MAGIC: u16 = 0xEF53;
const STATE_ERROR: u16 = 2;
const INCOMPAT_RECOVER: u32 = 0x4;
const RO_COMPAT_METADATA_CSUM: u32 = 0x400;
const RO_COMPAT_VERITY: u32 = 0x8000;

/// ext4 knows blocks of 1 KiB to 64 KiB.
const LOG_BLOCK_SIZE_MAX: u32 = 6;

/// An ext4 superblock as it stands on a disk. That it was parsed says that the magic number is
/// there; whether the rest is whole is for [`Superblock::integrity`] to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// Volume label; empty where there is none.
    pub label: String,
    /// UUID of the file system.
    pub uuid: [u8; 16],
    /// Bytes of a block.
    pub block_size: u32,
    /// Whether the journal holds what the file system does not have yet.
    pub journal: Journal,
    /// Whether the kernel found errors in it that nobody has repaired.
    pub errors: Errors,
    /// Whether files can be sealed with fs-verity.
    pub verity: Verity,
    /// Whether it is as it was written.
    pub integrity: Integrity,
    /// The block group that this copy belongs to; 0 for the primary one.
    pub group: u16,
}

/// The state of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Journal {
    /// Nothing to replay.
    Clean,
    /// Replayed by the next mount.
    NeedsRecovery,
}

/// What the kernel noted about the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errors {
    /// No errors.
    None,
    /// Errors were found.
    Found,
}

/// The `verity` feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verity {
    /// Not enabled.
    Off,
    /// Enabled.
    On,
}

/// Whether a superblock is as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integrity {
    /// Its checksum fits.
    Whole,
    /// Its checksum does not fit: it is torn or damaged.
    Torn,
    /// It has no checksum.
    Unknown,
}

/// A backup of the superblock, as `e2fsck -b BLOCK -B SIZE` takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Its block number.
    pub block: u64,
    /// Bytes of a block.
    pub block_size: u32,
}

/// Where the first backup stands, for the block sizes that mkfs makes; the most usual first. A
/// file system of one block group (below 128 MiB with blocks of 4 KiB) has none.
pub const BACKUPS: [Backup; 3] = [
    Backup { block: 32768, block_size: 4096 },
    Backup { block: 8193, block_size: 1024 },
    Backup { block: 16384, block_size: 2048 },
];

impl Backup {
    /// Where it stands on its device, in bytes.
    pub fn offset(&self) -> u64 {
        self.block * u64::from(self.block_size)
    }

    /// Whether `superblock`, read from there, is the backup that belongs there, whole.
    pub fn is_sound(&self, superblock: &Superblock) -> bool {
        superblock.group == 1
            && superblock.block_size == self.block_size
            && superblock.integrity != Integrity::Torn
    }
}

impl Superblock {
    /// Reads a superblock; `None` where the magic number is missing or the block size is none that
    /// ext4 has.
    pub fn parse(bytes: &[u8; LEN]) -> Option<Superblock> {
        let log_block_size = u32_at(bytes, 0x18)?;
        if u16_at(bytes, 0x38)? != MAGIC || log_block_size > LOG_BLOCK_SIZE_MAX {
            return None;
        }
        let (incompatible, read_only) = (u32_at(bytes, 0x60)?, u32_at(bytes, 0x64)?);
        let checksummed = read_only & RO_COMPAT_METADATA_CSUM != 0;
        Some(Superblock {
            label: text_at(bytes, 0x78..0x88)?,
            uuid: bytes.get(0x68..0x78)?.try_into().ok()?,
            block_size: 1024 << log_block_size,
            journal: Journal::of(incompatible),
            errors: Errors::of(u16_at(bytes, 0x3A)?),
            verity: Verity::of(read_only),
            integrity: if checksummed { Integrity::of(bytes)? } else { Integrity::Unknown },
            group: u16_at(bytes, 0x5A)?,
        })
    }
}

impl Journal {
    fn of(incompatible: u32) -> Journal {
        if incompatible & INCOMPAT_RECOVER == 0 { Journal::Clean } else { Journal::NeedsRecovery }
    }
}

impl Errors {
    fn of(state: u16) -> Errors {
        if state & STATE_ERROR == 0 { Errors::None } else { Errors::Found }
    }
}

impl Verity {
    fn of(read_only: u32) -> Verity {
        if read_only & RO_COMPAT_VERITY == 0 { Verity::Off } else { Verity::On }
    }
}

impl Integrity {
    /// The checksum is CRC-32C without the final inversion.
    fn of(bytes: &[u8; LEN]) -> Option<Integrity> {
        let fits = u32_at(bytes, 0x3FC)? == !crc32c(bytes.get(..0x3FC)?);
        Some(if fits { Integrity::Whole } else { Integrity::Torn })
    }
}

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes.get(offset..)?.first_chunk().copied().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().copied().map(u32::from_le_bytes)
}

fn text_at(bytes: &[u8], range: std::ops::Range<usize>) -> Option<String> {
    let text = bytes.get(range)?.split(|&byte| byte == 0).next()?;
    Some(String::from_utf8_lossy(text).into_owned())
}
