//! A block device as the kernel describes it.
//!
//! Source: kernel documentation ABI/stable/sysfs-block; `block/partitions/core.c` for the keys.

use crate::ext4::{BACKUPS, Superblock};
use crate::partition;
use crate::superblock::{self, Found};
use pintle_sys::uevent::Uevent;
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::pread;
use std::path::{Path, PathBuf};

/// A block device that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockDevice {
    /// Its name below `/dev`.
    pub name: String,
    /// The name in its GPT entry.
    pub partition_label: Option<String>,
    /// Its number on its disk, where it is a partition.
    pub partition: Option<u32>,
}

impl BlockDevice {
    /// The device that a uevent announces or changes.
    pub fn of_event(event: &Uevent<'_>) -> Option<BlockDevice> {
        let present = matches!(event.text("ACTION"), Some("add" | "change"));
        let block = event.text("SUBSYSTEM") == Some("block");
        (present && block).then(|| BlockDevice::of_keys(|key| event.text(key)))?
    }

    /// The device called `name` in `/sys/class/block`.
    pub fn of_sysfs(name: &str) -> Option<BlockDevice> {
        let path = Path::new("/sys/class/block").join(name).join("uevent");
        let text = std::fs::read_to_string(path).ok()?;
        BlockDevice::of_keys(|key| value(&text, key))
    }

    /// Its node.
    pub fn path(&self) -> PathBuf {
        Path::new("/dev").join(&self.name)
    }

    /// The file system on it, where one is known.
    pub fn filesystem(&self) -> Option<Found> {
        let device = self.open().ok()?;
        read_block(&device, 0)
            .and_then(|head| superblock::in_head(&head))
            .or_else(|| superblock::btrfs_in(&read_block(&device, superblock::BTRFS_OFFSET)?))
    }

    /// The ext4 whose first backup superblock is on it: what is left to know a file system by when
    /// its primary one is gone.
    pub fn filesystem_in_backup(&self) -> Option<Found> {
        let device = self.open().ok()?;
        BACKUPS.iter().find_map(|backup| {
            let block = read_block(&device, backup.offset())?;
            let superblock = Superblock::parse(block.first_chunk()?)?;
            backup.is_sound(&superblock).then(|| superblock.into())
        })
    }

    /// The UUID of its entry in the partition table of its disk, in lower case.
    pub fn partition_uuid(&self) -> Option<String> {
        let disk = self.disk()?.open().ok()?;
        let read = |offset| {
            let mut sector = [0; partition::SECTOR];
            (pread(&disk, &mut sector, offset).ok()? == sector.len()).then_some(sector)
        };
        partition::uuid(read, self.partition?)
    }

    /// Its size in bytes.
    pub fn size(&self) -> Option<u64> {
        let path = Path::new("/sys/class/block").join(&self.name).join("size");
        let sectors: u64 = std::fs::read_to_string(path).ok()?.trim_end().parse().ok()?;
        sectors.checked_mul(512)
    }

    /// The disk that a partition is on: its directory in `/sys` stands in the disk's.
    fn disk(&self) -> Option<BlockDevice> {
        let link = std::fs::read_link(Path::new("/sys/class/block").join(&self.name)).ok()?;
        BlockDevice::of_sysfs(link.parent()?.file_name()?.to_str()?)
    }

    pub(crate) fn open(&self) -> rustix::io::Result<OwnedFd> {
        open(self.path(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
    }

    fn of_keys<'a>(get: impl Fn(&'static str) -> Option<&'a str>) -> Option<BlockDevice> {
        Some(BlockDevice {
            name: get("DEVNAME")?.to_owned(),
            partition_label: get("PARTNAME").map(str::to_owned),
            partition: get("PARTN").and_then(|number| number.parse().ok()),
        })
    }
}

/// The whole block, or nothing.
pub(crate) fn read_block(device: &OwnedFd, offset: u64) -> Option<[u8; superblock::HEAD]> {
    let mut block = [0; superblock::HEAD];
    let length = pread(device, &mut block, offset).ok()?;
    (length == block.len()).then_some(block)
}

/// The value of a key in lines of `KEY=value`.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partition_is_described_by_its_keys() {
        let text = "MAJOR=254\nMINOR=2\nDEVNAME=vda2\nDEVTYPE=partition\nPARTN=2\n\
            PARTNAME=a state=b\n";
        let device = BlockDevice::of_keys(|key| value(text, key)).unwrap();
        assert_eq!(device.path(), Path::new("/dev/vda2"));
        assert_eq!(device.partition_label.as_deref(), Some("a state=b"));
        assert_eq!(device.partition, Some(2));
    }

    #[test]
    fn only_block_devices_that_are_there_count() {
        let message = |action, subsystem| {
            format!(
                "{action}@/d\0ACTION={action}\0DEVPATH=/d\0SUBSYSTEM={subsystem}\0DEVNAME=vda\0"
            )
        };
        let device = |action, subsystem| {
            let message = message(action, subsystem);
            BlockDevice::of_event(&Uevent::parse(message.as_bytes()).unwrap())
        };
        assert_eq!(device("add", "block").unwrap().name, "vda");
        assert_eq!(device("change", "block").unwrap().name, "vda");
        assert_eq!(device("remove", "block"), None);
        assert_eq!(device("add", "tty"), None);
    }
}
