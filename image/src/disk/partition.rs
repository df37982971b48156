use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;

use gpt::disk::LogicalBlockSize;
use gpt::mbr::{MBRError, ProtectiveMBR};
use gpt::partition::Partition;
use gpt::{GptConfig, GptError, partition_types};
use pintle_verify::{Digest, Uuid};
use uuid::Uuid as Guid;

use crate::error::Attempt;
use crate::{Error, Result};

const SECTOR: u64 = 512;
/// What partitioning programs align to, and what flash likes.
const ALIGNMENT: u64 = 1 << 20;
/// The second table, at the disk's end: 32 sectors of entries and one of header.
const SECOND_TABLE: u64 = 33 * SECTOR;

/// Writes a GPT with one partition named `label`, and gives the bytes that the partition covers.
pub(super) fn write(mut disk: File, label: &str, identity: Uuid) -> Result<Range<u64>> {
    let size = disk.metadata().attempt(|| "measure the disk".to_owned())?.len();
    let range = ALIGNMENT..(size - SECOND_TABLE) / ALIGNMENT * ALIGNMENT;
    write_protective(&mut disk, size).map_err(refuse)?;
    let partition = Partition {
        part_type_guid: partition_types::LINUX_FS,
        part_guid: Guid::from_bytes(*Uuid::of_digest(&Digest::of(identity.as_bytes())).as_bytes()),
        first_lba: range.start / SECTOR,
        last_lba: range.end / SECTOR - 1,
        flags: 0,
        name: label.to_owned(),
    };
    write_table(disk, Guid::from_bytes(*identity.as_bytes()), partition).map_err(refuse)?;
    Ok(range)
}

/// An MBR with one partition of type 0xEE, so that programs without GPT leave the disk alone.
fn write_protective(disk: &mut File, size: u64) -> std::result::Result<(), MBRError> {
    let sectors = u32::try_from(size / SECTOR - 1).unwrap_or(u32::MAX);
    ProtectiveMBR::with_lb_size(sectors).overwrite_lba0(disk).map(drop)
}

fn write_table(disk: File, guid: Guid, only: Partition) -> std::result::Result<(), GptError> {
    let config = GptConfig::new().writable(true).logical_block_size(LogicalBlockSize::Lb512);
    let mut table = config.create_from_device(disk, Some(guid))?;
    table.update_partitions(BTreeMap::from([(1, only)]))?;
    table.write().map(drop)
}

fn refuse(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::input("write the partition table", cause)
}
