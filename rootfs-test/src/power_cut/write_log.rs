//! What a disk was told, in order: the log of QEMU's `blklogwrites`, in the format of Linux' dm-log-writes.
//!
//! Source: kernel document admin-guide/device-mapper/log-writes.rst, `drivers/md/dm-log-writes.c`; QEMU's
//! `block/blklogwrites.c`.

use anyhow::{Context, Result, ensure};

/// Bytes that a disk writes whole or not at all.
pub const SECTOR: usize = 512;

/// `WRITE_LOG_MAGIC`, `WRITE_LOG_VERSION` and the flags of `drivers/md/dm-log-writes.c`.
const MAGIC: u64 = 0x006a_7366_7773_6872;
const VERSION: u64 = 1;
const FLUSH: u64 = 1 << 0;
const FUA: u64 = 1 << 1;
const DISCARD: u64 = 1 << 2;

/// One request that a disk has answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entry {
    /// What was answered before is durable.
    Flush,
    /// Bytes from a sector on.
    Write(Write),
}

/// Bytes that a disk was given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Write {
    /// The first sector.
    pub sector: u64,
    /// Whole sectors. What was discarded reads as zeros.
    pub bytes: Vec<u8>,
    /// When they are safe.
    pub lasting: Lasting,
}

/// When a write is safe from a power cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lasting {
    /// After the next flush.
    Cached,
    /// As soon as it was answered (FUA).
    Forced,
}

/// Reads a log as far as it is whole: the disk may still be in use.
///
/// # Errors
/// When it is no such log, or counts in other sectors.
pub fn parse(log: &[u8]) -> Result<Vec<Entry>> {
    let Some((head, mut rest)) = log.split_at_checked(SECTOR) else { return Ok(Vec::new()) };
    ensure!(number(head, 0)? == MAGIC, "cannot read the log: it has another magic number");
    ensure!(number(head, 8)? == VERSION, "cannot read the log: it has another version");
    ensure!(number(head, 24)? & 0xffff_ffff == SECTOR as u64, "cannot read the log: other sectors");
    let mut entries = Vec::new();
    while let Some(after) = take(rest, &mut entries)? {
        rest = after;
    }
    Ok(entries)
}

/// Takes one record; none where it is not whole.
fn take<'a>(log: &'a [u8], entries: &mut Vec<Entry>) -> Result<Option<&'a [u8]>> {
    let Some((head, rest)) = log.split_at_checked(SECTOR) else { return Ok(None) };
    let (sector, sectors, flags) = (number(head, 0)?, number(head, 8)?, number(head, 16)?);
    let length = usize::try_from(sectors)? * SECTOR;
    let logged = if flags & DISCARD == 0 { length } else { 0 };
    let Some((bytes, rest)) = rest.split_at_checked(logged) else { return Ok(None) };
    if flags & FLUSH != 0 {
        entries.push(Entry::Flush);
    }
    if length > 0 {
        let lasting = if flags & FUA == 0 { Lasting::Cached } else { Lasting::Forced };
        let bytes = if flags & DISCARD == 0 { bytes.to_vec() } else { vec![0; length] };
        entries.push(Entry::Write(Write { sector, bytes, lasting }));
    }
    Ok(Some(rest))
}

fn number(bytes: &[u8], at: usize) -> Result<u64> {
    let field = bytes.get(at..).and_then(|rest| rest.first_chunk());
    Ok(u64::from_le_bytes(*field.context("cannot read the log: it ends early")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fields: [u64; 3], data: &[u8]) -> Vec<u8> {
        let mut record: Vec<u8> = fields.iter().flat_map(|field| field.to_le_bytes()).collect();
        record.resize(SECTOR, 0);
        record.extend(data);
        record
    }

    fn log(records: &[Vec<u8>]) -> Vec<u8> {
        let mut head = record([MAGIC, VERSION, 0], &[]);
        head[24..28].copy_from_slice(&512u32.to_le_bytes());
        [vec![head], records.to_vec()].concat().concat()
    }

    #[test]
    fn writes_flushes_and_discards_are_told_apart() {
        let data = [7; 2 * SECTOR];
        let records = [
            record([8, 2, 0], &data),
            record([0, 0, FLUSH], &[]),
            record([9, 1, FUA | FLUSH], &data[..SECTOR]),
            record([4, 1, DISCARD], &[]),
        ];
        let write = |sector, bytes: &[u8], lasting| {
            Entry::Write(Write { sector, bytes: bytes.to_vec(), lasting })
        };
        let expected = [
            write(8, &data, Lasting::Cached),
            Entry::Flush,
            Entry::Flush,
            write(9, &data[..SECTOR], Lasting::Forced),
            write(4, &[0; SECTOR], Lasting::Cached),
        ];
        assert_eq!(parse(&log(&records)).unwrap(), expected);
    }

    #[test]
    fn a_record_that_is_being_written_does_not_count_yet() {
        let whole = log(&[record([8, 1, 0], &[7; SECTOR])]);
        assert_eq!(parse(&whole).unwrap().len(), 1);
        (SECTOR..whole.len()).step_by(100).for_each(|length| {
            assert_eq!(parse(&whole[..length]).unwrap(), []);
        });
        assert!(parse(&[1; SECTOR]).is_err());
    }
}
