//! A changed block of the running image, as the kernel tells of it.
//!
//! Source: `drivers/md/dm-verity-target.c` (`verity_handle_err`), `fs/verity/verify.c`.

use crate::Root;
use pintle_sys::uevent::Uevent;
use std::fmt;

/// A block that is not as it was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Corruption {
    /// dm-verity found it.
    Block {
        /// The mapped device, as in `dm-0`.
        device: String,
        /// What the block holds.
        kind: Kind,
        /// Its number on the data or hash device.
        block: u64,
    },
    /// fs-verity found it.
    File {
        /// The device of the file system, as in `vda2`.
        device: String,
        /// The file's inode number there.
        inode: u64,
        /// Where in the file, in bytes.
        position: u64,
    },
}

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The image.
    Data,
    /// The hash tree.
    Tree,
}

impl Corruption {
    /// The corruption that a uevent of device-mapper reports.
    pub fn of_event(event: &Uevent<'_>) -> Option<Corruption> {
        let (kind, block) = event.text("DM_VERITY_ERR_BLOCK_NR")?.split_once(',')?;
        Some(Corruption::Block {
            device: event.text("DEVNAME")?.to_owned(),
            kind: Kind::of_number(kind)?,
            block: block.parse().ok()?,
        })
    }

    /// The corruption that a line of the kernel's log reports. A locked device logs for fs-verity
    /// only; for dm-verity the uevent comes as well.
    pub fn of_log(line: &str) -> Option<Corruption> {
        of_fsverity(line).or_else(|| of_dm_verity(line))
    }
}

impl Corruption {
    /// Whether it is the root's. Others on the machine may use verity too, and so do the images that
    /// do not run.
    pub fn is_of(&self, root: &Root) -> bool {
        match (self, root) {
            (Corruption::Block { device, .. }, Root::Dm { minor }) => {
                *device == format!("dm-{minor}")
            }
            (Corruption::File { device, inode, .. }, Root::Fs { device: ours, inode: own }) => {
                inode == own && (device == ours || ours.is_empty())
            }
            (Corruption::Block { .. }, Root::Fs { .. })
            | (Corruption::File { .. }, Root::Dm { .. }) => false,
        }
    }
}

impl Kind {
    /// `enum verity_block_type`.
    fn of_number(number: &str) -> Option<Kind> {
        match number {
            "0" => Some(Kind::Data),
            "1" => Some(Kind::Tree),
            _ => None,
        }
    }

    fn of_word(word: &str) -> Option<Kind> {
        match word {
            "data" => Some(Kind::Data),
            "metadata" => Some(Kind::Tree),
            _ => None,
        }
    }
}

impl fmt::Display for Corruption {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Corruption::Block { device, kind: Kind::Data, block } => {
                write!(out, "block {block} of the image on {device} is not as it was signed")
            }
            Corruption::Block { device, kind: Kind::Tree, block } => {
                write!(out, "block {block} of the hash tree on {device} is not as it was signed")
            }
            Corruption::File { device, inode, position } => {
                write!(out, "byte {position} of inode {inode} on {device} is not as it was signed")
            }
        }
    }
}

/// `fs-verity (vda2, inode 12): FILE CORRUPTED! pos=4096, level=-1, want_hash=...`; up to Linux
/// 6.2 the place is the page's `index=`.
fn of_fsverity(line: &str) -> Option<Corruption> {
    let (device, rest) = line.strip_prefix("fs-verity (")?.split_once(", inode ")?;
    let (inode, rest) = rest.split_once("): FILE CORRUPTED! ")?;
    let place = rest.split(", ").next()?;
    let position = match place.split_once('=')? {
        ("pos", bytes) => bytes.parse().ok()?,
        ("index", pages) => pages.parse::<u64>().ok()?.checked_mul(4096)?,
        _ => return None,
    };
    let inode = inode.parse().ok()?;
    Some(Corruption::File { device: device.to_owned(), inode, position })
}

/// `device-mapper: verity: 7:0: data block 17 is corrupted`.
fn of_dm_verity(line: &str) -> Option<Corruption> {
    let rest = line.strip_prefix("device-mapper: verity: ")?;
    let (device, rest) = rest.split_once(": ")?;
    let (kind, rest) = rest.split_once(" block ")?;
    let block = rest.strip_suffix(" is corrupted")?.parse().ok()?;
    Some(Corruption::Block { device: device.to_owned(), kind: Kind::of_word(kind)?, block })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wrong_with_the_root_is_the_roots() {
        let block = Corruption::Block { device: "dm-0".into(), kind: Kind::Data, block: 1 };
        let file = Corruption::File { device: "vda2".into(), inode: 12, position: 0 };
        let of = |device: &str, inode| Root::Fs { device: device.into(), inode };
        assert!(block.is_of(&Root::Dm { minor: 0 }) && !block.is_of(&Root::Dm { minor: 1 }));
        assert!(file.is_of(&of("vda2", 12)) && file.is_of(&of("", 12)));
        for other in [of("vda2", 13), of("vdb", 12), of("", 13), Root::Dm { minor: 0 }] {
            assert!(!file.is_of(&other), "{other:?}");
        }
        assert!(!block.is_of(&of("dm-0", 0)));
    }

    #[test]
    fn event_of_device_mapper_names_device_kind_and_block() {
        let message = b"change@/devices/virtual/block/dm-0\0ACTION=change\0\
            DEVPATH=/devices/virtual/block/dm-0\0SUBSYSTEM=block\0\
            DM_VERITY_ERR_BLOCK_NR=1,3\0DEVNAME=dm-0\0";
        let corruption = Corruption::of_event(&Uevent::parse(message).unwrap());
        let expected = Corruption::Block { device: "dm-0".to_owned(), kind: Kind::Tree, block: 3 };
        assert_eq!(corruption, Some(expected));
    }

    #[test]
    fn log_of_fsverity_names_device_inode_and_place() {
        let device = "vda2".to_owned();
        let line = "fs-verity (vda2, inode 12): FILE CORRUPTED! pos=8192, level=-1, \
            want_hash=sha256:00, real_hash=sha256:11";
        let expected = Corruption::File { device, inode: 12, position: 8192 };
        assert_eq!(Corruption::of_log(line), Some(expected.clone()));
        let line = "fs-verity (vda2, inode 12): FILE CORRUPTED! index=2, level=0, want_hash=x";
        assert_eq!(Corruption::of_log(line), Some(expected));
    }

    #[test]
    fn log_of_dm_verity_names_the_backing_device() {
        let line = "device-mapper: verity: 7:0: data block 17 is corrupted";
        let expected = Corruption::Block { device: "7:0".to_owned(), kind: Kind::Data, block: 17 };
        assert_eq!(Corruption::of_log(line), Some(expected));
    }

    #[test]
    fn other_lines_are_none() {
        let lines = [
            "",
            "erofs: (device dm-0): mounted with root inode @ nid 36.",
            "fs-verity (vda2, inode x): FILE CORRUPTED! pos=0, level=0",
            "fs-verity: sha256 using implementation sha256-ni",
            "device-mapper: verity: sha256 using \"sha256-ni\"",
            "device-mapper: verity: 7:0: reached maximum errors",
        ];
        for line in lines {
            assert_eq!(Corruption::of_log(line), None, "{line}");
        }
    }
}
