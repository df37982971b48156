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
const COMPAT_HAS_JOURNAL: u32 = 0x4;
const INCOMPAT_RECOVER: u32 = 0x4;
const RO_COMPAT_METADATA_CSUM: u32 = 0x400;
const RO_COMPAT_VERITY: u32 = 0x8000;

/// Zero in every superblock, and hardly ever where something else was written over one.
const RESERVED: std::ops::Range<usize> = 0x290..0x3FC;

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

/// A torn superblock made whole again, to be written as the primary one: its two halves differ in
/// counters and times alone. `None` for one that is not torn, or is damaged in some other way.
pub fn resealed(torn: &[u8; LEN]) -> Option<[u8; LEN]> {
    let superblock = Superblock::parse(torn)?;
    let reserved_is_clear = torn.get(RESERVED)?.iter().all(|&byte| byte == 0);
    (superblock.integrity == Integrity::Torn && reserved_is_clear).then(|| to_be_checked(torn))?
}

/// A primary superblock made of a sound backup. The backup does not say that the journal holds
/// anything; this says so.
pub fn restored(backup: &[u8; LEN]) -> Option<[u8; LEN]> {
    to_be_checked(backup)
}

/// A primary superblock that makes its next reader replay the journal, and take the file system
/// for damaged: so that counters are made right, and that e2fsck looks at everything.
fn to_be_checked(superblock: &[u8; LEN]) -> Option<[u8; LEN]> {
    let mut bytes = *superblock;
    put(&mut bytes, 0x5A, 0_u16.to_le_bytes())?;
    let state = u16_at(superblock, 0x3A)? | STATE_ERROR;
    put(&mut bytes, 0x3A, state.to_le_bytes())?;
    if u32_at(&bytes, 0x5C)? & COMPAT_HAS_JOURNAL != 0 {
        let incompatible = u32_at(&bytes, 0x60)? | INCOMPAT_RECOVER;
        put(&mut bytes, 0x60, incompatible.to_le_bytes())?;
    }
    let checksum = checksum(&bytes)?;
    put(&mut bytes, 0x3FC, checksum.to_le_bytes())?;
    Some(bytes)
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
    fn of(bytes: &[u8; LEN]) -> Option<Integrity> {
        let fits = u32_at(bytes, 0x3FC)? == checksum(bytes)?;
        Some(if fits { Integrity::Whole } else { Integrity::Torn })
    }
}

/// CRC-32C without the final inversion.
fn checksum(bytes: &[u8; LEN]) -> Option<u32> {
    bytes.get(..0x3FC).map(|covered| !crc32c(covered))
}

fn put<const N: usize>(bytes: &mut [u8; LEN], offset: usize, value: [u8; N]) -> Option<()> {
    *bytes.get_mut(offset..)?.first_chunk_mut()? = value;
    Some(())
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The superblock of `mkfs.ext4 -b 4096 -O verity -L pintle-state`, only the fields that are
    /// read here, checksummed.
    fn good() -> [u8; LEN] {
        let mut bytes = [0; LEN];
        put(&mut bytes, 0x18, 2_u32.to_le_bytes()).unwrap();
        put(&mut bytes, 0x38, MAGIC.to_le_bytes()).unwrap();
        put(&mut bytes, 0x3A, 1_u16.to_le_bytes()).unwrap();
        put(&mut bytes, 0x5C, COMPAT_HAS_JOURNAL.to_le_bytes()).unwrap();
        let features = RO_COMPAT_METADATA_CSUM | RO_COMPAT_VERITY;
        put(&mut bytes, 0x64, features.to_le_bytes()).unwrap();
        put(&mut bytes, 0x68, [7; 16]).unwrap();
        put(&mut bytes, 0x78, *b"pintle-state\0\0\0\0").unwrap();
        sealed(bytes)
    }

    fn sealed(mut bytes: [u8; LEN]) -> [u8; LEN] {
        let checksum = checksum(&bytes).unwrap();
        put(&mut bytes, 0x3FC, checksum.to_le_bytes()).unwrap();
        bytes
    }

    fn with(offset: usize, value: u8) -> Option<Superblock> {
        let mut bytes = good();
        bytes[offset] = value;
        Superblock::parse(&sealed(bytes))
    }

    #[test]
    fn superblock_tells_who_it_is_and_how_it_was_left() {
        let expected = Superblock {
            label: "pintle-state".to_owned(),
            uuid: [7; 16],
            block_size: 4096,
            journal: Journal::Clean,
            errors: Errors::None,
            verity: Verity::On,
            integrity: Integrity::Whole,
            group: 0,
        };
        assert_eq!(Superblock::parse(&good()), Some(expected));
        assert_eq!(with(0x60, 4).unwrap().journal, Journal::NeedsRecovery);
        assert_eq!(with(0x3A, 3).unwrap().errors, Errors::Found);
        assert_eq!(with(0x65, 0x04).unwrap().verity, Verity::Off);
        assert_eq!(with(0x65, 0).unwrap().integrity, Integrity::Unknown);
    }

    #[test]
    fn what_is_no_superblock_is_none() {
        assert_eq!(Superblock::parse(&[0; LEN]), None);
        assert_eq!(with(0x38, 0), None);
        assert_eq!(with(0x18, 7), None);
    }

    #[test]
    fn torn_superblock_keeps_its_name_and_is_made_whole() {
        let mut torn = good();
        torn[0x2C] ^= 1;
        let superblock = Superblock::parse(&torn).unwrap();
        assert_eq!(
            (superblock.label.as_str(), superblock.integrity),
            ("pintle-state", Integrity::Torn)
        );
        let resealed = Superblock::parse(&resealed(&torn).unwrap()).unwrap();
        let expected = Superblock {
            journal: Journal::NeedsRecovery,
            errors: Errors::Found,
            integrity: Integrity::Whole,
            ..superblock
        };
        assert_eq!(resealed, expected);
    }

    #[test]
    fn what_is_not_torn_is_not_made_whole() {
        assert_eq!(resealed(&good()), None);
        assert_eq!(resealed(&[0; LEN]), None);
        let mut overwritten = good();
        overwritten[0x200..].fill(0xA5);
        assert_eq!(resealed(&overwritten), None);
    }

    #[test]
    fn backup_becomes_a_primary_that_has_a_journal_to_replay() {
        let mut backup = good();
        backup[0x5A] = 1;
        let restored = Superblock::parse(&restored(&sealed(backup)).unwrap()).unwrap();
        assert_eq!((restored.group, restored.integrity), (0, Integrity::Whole));
        assert_eq!((restored.journal, restored.errors), (Journal::NeedsRecovery, Errors::Found));
    }

    #[test]
    fn backup_is_sound_where_it_says_that_it_belongs() {
        let [backup, other, _] = BACKUPS;
        let found = with(0x5A, 1).unwrap();
        assert_eq!(backup.offset(), 128 << 20);
        assert!(backup.is_sound(&found));
        assert!(!other.is_sound(&found));
        assert!(!backup.is_sound(&with(0x5A, 3).unwrap()));
        assert!(!backup.is_sound(&Superblock { integrity: Integrity::Torn, ..found }));
    }
}
