//! A partition's UUID, from its disk's partition table: the kernel reads it and does not tell.
//!
//! Source: UEFI specification 2.10, 5.3 (GPT); `block/partitions/msdos.c` for the MBR's form.

use pintle_verify::Uuid;

/// Bytes that a read gives.
pub const SECTOR: usize = 512;

const PROTECTIVE: u8 = 0xEE;

/// The sizes of a logical block that disks have; the GPT header stands in block 1.
const BLOCK_SIZES: [u64; 2] = [512, 4096];

/// Entries have 128 bytes times a power of two; a table with larger ones is nobody's.
const ENTRY_SIZE_MAX: u32 = 4096;

/// The UUID of partition `number` (from 1) in the form of blkid: that of its GPT entry, or one made
/// of the MBR's signature. `read` gives the [`SECTOR`] bytes at an offset of the disk.
pub fn uuid(read: impl Fn(u64) -> Option<[u8; SECTOR]>, number: u32) -> Option<String> {
    let mbr = read(0)?;
    mbr.ends_with(&[0x55, 0xAA]).then_some(())?;
    if mbr.get(0x1C2) != Some(&PROTECTIVE) {
        return mbr_uuid(&mbr, number);
    }
    BLOCK_SIZES.into_iter().find_map(|block_size| {
        let entry = entry_offset(&read(block_size)?, block_size, number)?;
        guid(read(entry)?.get(16..32)?)
    })
}

/// Where the GPT entry of partition `number` stands, in bytes.
fn entry_offset(header: &[u8; SECTOR], block_size: u64, number: u32) -> Option<u64> {
    header.starts_with(b"EFI PART").then_some(())?;
    let first = u64::from_le_bytes(*header.get(72..)?.first_chunk()?);
    let count = u32::from_le_bytes(*header.get(80..)?.first_chunk()?);
    let size = u32::from_le_bytes(*header.get(84..)?.first_chunk()?);
    let index = number.checked_sub(1).filter(|index| *index < count)?;
    (size <= ENTRY_SIZE_MAX).then_some(())?;
    first.checked_mul(block_size)?.checked_add(u64::from(index) * u64::from(size))
}

/// The first three fields of a GUID are little-endian; the text is big-endian throughout.
fn guid(bytes: &[u8]) -> Option<String> {
    let &[a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes else { return None };
    let uuid = [d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p];
    (uuid != [0; 16]).then(|| Uuid::from_bytes(uuid).to_string())
}

fn mbr_uuid(mbr: &[u8; SECTOR], number: u32) -> Option<String> {
    let signature = u32::from_le_bytes(*mbr.get(0x1B8..)?.first_chunk()?);
    (signature != 0).then(|| format!("{signature:08x}-{number:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with a GPT whose second entry has a UUID of its own.
    fn gpt(block_size: usize) -> Vec<u8> {
        let mut disk = vec![0; 34 * block_size];
        disk[0x1C2] = 0xEE;
        disk[510..512].copy_from_slice(&[0x55, 0xAA]);
        let header = &mut disk[block_size..];
        header[..8].copy_from_slice(b"EFI PART");
        header[72] = 2;
        header[80] = 128;
        header[84] = 128;
        let guid = [
            0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd,
            0xee, 0xff,
        ];
        disk[2 * block_size + 128 + 16..][..16].copy_from_slice(&guid);
        disk
    }

    fn of(disk: &[u8], number: u32) -> Option<String> {
        let read = |offset: u64| disk.get(usize::try_from(offset).ok()?..)?.first_chunk().copied();
        uuid(read, number)
    }

    #[test]
    fn guid_of_an_entry_is_found_for_both_sizes_of_block() {
        for block_size in [512, 4096] {
            let disk = gpt(block_size);
            let expected = Some("00112233-4455-6677-8899-aabbccddeeff".to_owned());
            assert_eq!(of(&disk, 2), expected);
            for absent in [0, 1, 3, 129, u32::MAX] {
                assert_eq!(of(&disk, absent), None, "{absent}");
            }
        }
    }

    #[test]
    fn mbr_makes_a_uuid_of_its_signature() {
        let mut disk = vec![0; 512];
        disk[510..512].copy_from_slice(&[0x55, 0xAA]);
        assert_eq!(of(&disk, 1), None);
        disk[0x1B8..0x1BC].copy_from_slice(&0x1234_abcd_u32.to_le_bytes());
        assert_eq!(of(&disk, 1).as_deref(), Some("1234abcd-01"));
    }

    #[test]
    fn header_that_points_nowhere_is_none() {
        let mut disk = gpt(512);
        disk[512 + 72..][..8].fill(0xFF);
        assert_eq!(of(&disk, 2), None);
        let mut disk = gpt(512);
        disk[512 + 84..][..4].fill(0xFF);
        assert_eq!(of(&disk, 2), None);
        assert_eq!(of(&[], 1), None);
    }
}
