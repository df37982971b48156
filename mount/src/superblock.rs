//! Which file system is on a device, by its superblock.

use crate::ext4;
use pintle_verify::Uuid;

/// What has to be read from the beginning of a device to know ext4, XFS and F2FS.
pub const HEAD: usize = 4096;

/// Where btrfs keeps its superblock.
pub const BTRFS_OFFSET: u64 = 65536;

/// A file system that is on a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its type, as `mount -t` takes it.
    pub kind: &'static str,
    /// Its label; empty where there is none.
    pub label: String,
    /// Its UUID, as blkid prints it.
    pub uuid: String,
}

/// The file system that the first [`HEAD`] bytes of a device belong to.
pub fn in_head(head: &[u8]) -> Option<Found> {
    ext4_in(head).or_else(|| xfs_in(head)).or_else(|| f2fs_in(head))
}

/// The btrfs whose superblock `block` begins with.
pub fn btrfs_in(block: &[u8]) -> Option<Found> {
    (block.get(64..72)? == b"_BHRfS_M").then_some(())?;
    Found::new("btrfs", latin(block.get(0x12B..0x22B)?), block.get(32..48)?)
}

fn ext4_in(head: &[u8]) -> Option<Found> {
    ext4::Superblock::parse(head.get(1024..)?.first_chunk()?).map(Found::from)
}

impl From<ext4::Superblock> for Found {
    fn from(superblock: ext4::Superblock) -> Found {
        let uuid = Uuid::from_bytes(superblock.uuid).to_string();
        Found { kind: "ext4", label: superblock.label, uuid }
    }
}

fn xfs_in(head: &[u8]) -> Option<Found> {
    head.starts_with(b"XFSB").then_some(())?;
    Found::new("xfs", latin(head.get(108..120)?), head.get(32..48)?)
}

fn f2fs_in(head: &[u8]) -> Option<Found> {
    let block = head.get(1024..)?;
    block.starts_with(&0xF2F5_2010_u32.to_le_bytes()).then_some(())?;
    let (units, _) = block.get(124..124 + 1024)?.as_chunks();
    let units = units.iter().map(|unit| u16::from_le_bytes(*unit)).take_while(|unit| *unit != 0);
    let label = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER));
    Found::new("f2fs", label.collect(), block.get(108..124)?)
}

impl Found {
    fn new(kind: &'static str, label: String, uuid: &[u8]) -> Option<Found> {
        let uuid = Uuid::from_bytes(uuid.try_into().ok()?).to_string();
        Some(Found { kind, label, uuid })
    }
}

fn latin(field: &[u8]) -> String {
    let text = field.split(|&byte| byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}
