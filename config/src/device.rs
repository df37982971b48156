//! Block devices by what is written on them.

use std::fmt;

use crate::Value;
use crate::name::AbsolutePath;

/// How a block device is found, with the tags of `fstab(5)` and `blkid(8)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DeviceSpec {
    /// `LABEL=`: the label in the file system's superblock.
    Label(Box<str>),
    /// `UUID=`: the UUID in the file system's superblock, in lower case.
    Uuid(Box<str>),
    /// `PARTLABEL=`: the name in the GPT partition entry.
    PartLabel(Box<str>),
    /// `PARTUUID=`: the GPT partition's UUID, or an MBR one's `<signature>-<number>`, in lower case.
    PartUuid(Box<str>),
    /// A device node below `/dev`.
    Path(AbsolutePath),
}

impl fmt::Display for DeviceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label(label) => write!(f, "LABEL={label}"),
            Self::Uuid(uuid) => write!(f, "UUID={uuid}"),
            Self::PartLabel(label) => write!(f, "PARTLABEL={label}"),
            Self::PartUuid(uuid) => write!(f, "PARTUUID={uuid}"),
            Self::Path(path) => path.fmt(f),
        }
    }
}

impl Value for DeviceSpec {
    fn expected() -> String {
        "a device: \"LABEL=…\", \"UUID=…\", \"PARTLABEL=…\", \"PARTUUID=…\" or a path below /dev"
            .to_owned()
    }

    fn from_text(text: &str) -> Option<Self> {
        match text.split_once('=') {
            Some(("LABEL", value)) => label(value).map(Self::Label),
            Some(("UUID", value)) => uuid(value).map(Self::Uuid),
            Some(("PARTLABEL", value)) => label(value).map(Self::PartLabel),
            Some(("PARTUUID", value)) => uuid(value).map(Self::PartUuid),
            _ => path(text).map(Self::Path),
        }
    }
}

text_on_the_wire!(DeviceSpec);

/// The longest label of a known file system: btrfs has 255 bytes, a GPT entry 36 UTF-16 units.
const LABEL_MAX: usize = 255;

/// A UUID of RFC 9562 has 36 characters; those of FAT, NTFS and MBR disks are shorter.
const UUID_MAX: usize = 36;

fn label(text: &str) -> Option<Box<str>> {
    let good = (1..=LABEL_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
    good.then(|| text.into())
}

fn uuid(text: &str) -> Option<Box<str>> {
    let good = (1..=UUID_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    good.then(|| text.to_ascii_lowercase().into())
}

fn path(text: &str) -> Option<AbsolutePath> {
    AbsolutePath::from_text(text).filter(|path| path.as_str().starts_with("/dev/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tag_is_read_back_from_its_text() {
        let cases = [
            "LABEL=state",
            "LABEL=with space=and equals",
            "UUID=01234567-89ab-cdef-0123-456789abcdef",
            "UUID=abcd-1234",
            "PARTLABEL=state",
            "PARTUUID=0000abcd-01",
            "/dev/vda2",
            "/dev/mapper/state",
        ];
        for text in cases {
            assert_eq!(DeviceSpec::from_text(text).map(|d| d.to_string()).as_deref(), Some(text));
        }
    }

    #[test]
    fn uuids_have_one_case() {
        assert_eq!(
            DeviceSpec::from_text("UUID=ABCD-1234"),
            DeviceSpec::from_text("UUID=abcd-1234")
        );
    }

    #[test]
    fn everything_else_is_refused() {
        let cases = [
            "",
            "vda2",
            "/",
            "/dev",
            "/dev/",
            "/dev/../etc/passwd",
            "/etc/passwd",
            "LABEL=",
            "LABEL=a\nb",
            "UUID=",
            "UUID=xyz",
            "PARTUUID=/dev/vda",
            "label=state",
            "ID=1",
            "=",
        ];
        for text in cases {
            assert_eq!(DeviceSpec::from_text(text), None, "{text:?}");
        }
    }
}
