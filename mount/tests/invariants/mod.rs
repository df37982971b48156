//! What holds for any input. Shared with the fuzz targets; each function says whether the input
//! was taken for what it claims to be.

use pintle_mount::corruption::Corruption;
use pintle_mount::ext4::{self, Errors, Integrity, Superblock};
use pintle_mount::teardown::{Step, plan};
use pintle_mount::{BlockDevice, modalias, partition, superblock};
use pintle_sys::uevent::Uevent;
use std::path::Path;

/// A block of any bytes is a superblock or is not; one that is made whole is whole, is the same
/// file system, and will be checked.
pub(crate) fn superblocks_are_known_or_not(block: &[u8]) -> bool {
    let found = superblock::in_head(block).or_else(|| superblock::btrfs_in(block));
    if let Some(bytes) = block.get(1024..).and_then(|rest| rest.first_chunk()) {
        remade_superblocks_are_whole(bytes);
    }
    found.is_some_and(|found| found.uuid.len() == 36)
}

fn remade_superblocks_are_whole(bytes: &[u8; ext4::LEN]) {
    let Some(before) = Superblock::parse(bytes) else { return };
    let resealed = ext4::resealed(bytes);
    assert!(before.integrity == Integrity::Torn || resealed.is_none());
    for made in [resealed, ext4::restored(bytes)].into_iter().flatten() {
        let after = Superblock::parse(&made).unwrap();
        assert_eq!((&after.label, after.uuid), (&before.label, before.uuid));
        assert_eq!((after.group, after.errors), (0, Errors::Found));
        assert_ne!(after.integrity, Integrity::Torn);
    }
}

/// A disk of any bytes gives a partition a UUID, or none; none is read from beyond its end.
pub(crate) fn partitions_have_uuids_or_not(disk: &[u8], number: u32) -> bool {
    let read = |offset: u64| disk.get(usize::try_from(offset).ok()?..)?.first_chunk().copied();
    let uuid = partition::uuid(read, number);
    let form = |uuid: &str| uuid.chars().all(|c| c == '-' || matches!(c, '0'..='9' | 'a'..='f'));
    assert!(uuid.as_deref().is_none_or(form), "{uuid:?}");
    uuid.is_some()
}

/// Whatever the kernel lists, the plan ends, unmounts nothing twice that is listed once, spares
/// what the end of the machine needs, and takes the old root down before its devices.
pub(crate) fn plans_end_and_spare_what_is_needed(mountinfo: &str) -> bool {
    let steps = plan(mountinfo);
    let devices = steps.iter().position(|step| *step == Step::DetachLoops).unwrap();
    for (index, step) in steps.iter().enumerate() {
        let Step::Unmount(path) = step else { continue };
        assert!(path != Path::new("/") && !path.starts_with("/proc"), "{path:?}");
        assert_eq!(path.starts_with("/pintle/exit/old"), index < devices, "{path:?}");
    }
    assert!(steps.len() - 1 <= mountinfo.lines().count());
    steps.len() > 1
}

/// A pattern fits a text exactly where a matcher that tries everything says so.
pub(crate) fn globs_agree_with_trying_everything(pattern: &str, text: &str) -> bool {
    let fits = modalias::matches(pattern, text);
    // Trying everything takes exponential time.
    if pattern.matches('*').count() <= 4 && text.len() <= 48 {
        assert_eq!(fits, try_everything(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
    }
    fits
}

fn try_everything(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=text.len()).any(|n| try_everything(rest, &text[n..])),
        ([b'?', rest @ ..], [_, left @ ..]) => try_everything(rest, left),
        ([b'\\', quoted, rest @ ..], [byte, left @ ..]) => {
            quoted == byte && try_everything(rest, left)
        }
        ([b'[', inner @ ..], [byte, left @ ..]) => {
            let Some(end) = (1..inner.len()).find(|&i| inner[i] == b']') else { return false };
            members(&inner[..end]).contains(byte) && try_everything(&inner[end + 1..], left)
        }
        ([b'\\' | b'[', ..], _) => false,
        ([literal, rest @ ..], [byte, left @ ..]) => literal == byte && try_everything(rest, left),
        _ => false,
    }
}

/// Every byte that a class admits.
fn members(class: &[u8]) -> Vec<u8> {
    let (class, inverted) = match class {
        [b'!' | b'^', class @ ..] => (class, true),
        class => (class, false),
    };
    let mut members = Vec::new();
    let mut rest = class;
    while let [first, after @ ..] = rest {
        rest = after;
        match after {
            [b'-', last, after @ ..] => {
                members.extend(*first..=*last);
                rest = after;
            }
            _ => members.push(*first),
        }
    }
    (0..=u8::MAX).filter(|byte| members.contains(byte) != inverted).collect()
}

/// A message of any bytes is an event or is not; an event's keys say what its summary says.
pub(crate) fn messages_are_events_or_not(message: &[u8]) -> bool {
    let Some(event) = Uevent::parse(message) else { return false };
    let summary = [event.get("ACTION").unwrap(), b"@", event.get("DEVPATH").unwrap()].concat();
    assert!(message.starts_with(&summary));
    if let Some(device) = BlockDevice::of_event(&event) {
        assert_eq!(event.text("DEVNAME"), Some(device.name.as_str()));
    }
    Corruption::of_event(&event).is_some()
}

/// A line of any text tells of a corrupt block or does not; one that does names its device.
pub(crate) fn lines_tell_of_corruption_or_not(line: &str) -> bool {
    let Some(corruption) = Corruption::of_log(line) else { return false };
    let (Corruption::Block { device, .. } | Corruption::File { device, .. }) = corruption;
    assert!(line.contains(&device));
    true
}
