//! Waiting for a block device, by uevents and without polling.

use crate::BlockDevice;
use crate::error::{Error, Missing, Result};
use crate::modules::Loader;
use crate::superblock::Found;
use pintle_sys::Purpose;
use pintle_sys::uevent::{MESSAGE_MAX, Received, Socket};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

/// How a device is named, as in fstab(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceSpec<'a> {
    /// The label in its file system.
    Label(&'a str),
    /// The UUID of its file system, in lower case.
    Uuid(&'a str),
    /// The name in its GPT entry.
    PartLabel(&'a str),
    /// The UUID of its GPT entry, in lower case.
    PartUuid(&'a str),
    /// Its node, as in `/dev/vda2`.
    Path(&'a Path),
}

/// A block device that is there although another one is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// Its name below `/dev`.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// The label of its file system, or else its GPT entry's name.
    pub label: Option<String>,
}

/// Waits until the device is there, at most for `limit`. `events` must have been bound before the
/// first module was loaded: a device either stands in `/sys` when that is read, or its event
/// comes afterwards. Modules for devices that appear are loaded meanwhile.
pub fn wait(
    wanted: DeviceSpec<'_>,
    limit: Duration,
    modules: &mut Loader<'_>,
    events: &Socket,
) -> Result<BlockDevice> {
    let deadline = Instant::now() + limit;
    let mut found = find(wanted);
    while found.is_none() && wait_for_event(events, deadline)? {
        found = take_event(wanted, modules, events)?;
    }
    // Too costly for every device that appears, and hardly ever needed.
    found.or_else(|| find_by_backup(wanted)).ok_or_else(|| missing(wanted, limit, modules))
}

/// The device, if it is there now.
pub fn find(wanted: DeviceSpec<'_>) -> Option<BlockDevice> {
    all().find(|device| wanted.is(device))
}

/// The device of an ext4 that has lost its primary superblock.
fn find_by_backup(wanted: DeviceSpec<'_>) -> Option<BlockDevice> {
    all().find(|device| device.filesystem_in_backup().is_some_and(|found| wanted.is_of(&found)))
}

impl DeviceSpec<'_> {
    fn is(&self, device: &BlockDevice) -> bool {
        match *self {
            DeviceSpec::Path(path) => device.path() == path,
            DeviceSpec::PartLabel(label) => device.partition_label.as_deref() == Some(label),
            DeviceSpec::PartUuid(uuid) => device.partition_uuid().is_some_and(|it| it == uuid),
            DeviceSpec::Label(_) | DeviceSpec::Uuid(_) => {
                device.filesystem().is_some_and(|found| self.is_of(&found))
            }
        }
    }

    /// Whether a device is meant by this file system on it.
    fn is_of(&self, found: &Found) -> bool {
        match *self {
            DeviceSpec::Label(label) => found.label == label,
            DeviceSpec::Uuid(uuid) => found.uuid == uuid,
            DeviceSpec::Path(_) | DeviceSpec::PartLabel(_) | DeviceSpec::PartUuid(_) => false,
        }
    }
}

impl fmt::Display for DeviceSpec<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceSpec::Label(label) => write!(out, "LABEL={label}"),
            DeviceSpec::Uuid(uuid) => write!(out, "UUID={uuid}"),
            DeviceSpec::PartLabel(label) => write!(out, "PARTLABEL={label}"),
            DeviceSpec::PartUuid(uuid) => write!(out, "PARTUUID={uuid}"),
            DeviceSpec::Path(path) => path.display().fmt(out),
        }
    }
}

impl fmt::Display for Present {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({} MiB", self.name, self.size >> 20)?;
        match &self.label {
            Some(label) => write!(out, ", {label:?})"),
            None => out.write_str(")"),
        }
    }
}

fn all() -> impl Iterator<Item = BlockDevice> {
    std::fs::read_dir("/sys/class/block")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| BlockDevice::of_sysfs(entry.file_name().to_str()?))
}

/// Takes one event; gives the device if that is the one.
fn take_event(
    wanted: DeviceSpec<'_>,
    modules: &mut Loader<'_>,
    events: &Socket,
) -> Result<Option<BlockDevice>> {
    let mut buffer = [0; MESSAGE_MAX];
    match events.receive(&mut buffer)? {
        Received::Event(event) => {
            modules.load_for_event(&event);
            Ok(BlockDevice::of_event(&event).filter(|device| wanted.is(device)))
        }
        Received::Overrun => {
            modules.load_for_present();
            Ok(find(wanted))
        }
        Received::Nothing => Ok(None),
    }
}

/// Whether an event came before the deadline.
fn wait_for_event(events: &Socket, deadline: Instant) -> Result<bool> {
    let mut ready = [PollFd::new(events, PollFlags::IN)];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).ok();
        match poll(&mut ready, left.as_ref()) {
            Err(Errno::INTR) => {}
            outcome => return Ok(outcome.to("wait for a uevent")? > 0),
        }
    }
}

fn missing(wanted: DeviceSpec<'_>, waited: Duration, modules: &Loader<'_>) -> Error {
    Error::Missing(Box::new(Missing {
        wanted: wanted.to_string(),
        waited,
        present: all().map(present).collect(),
        failures: modules.failures().to_vec(),
    }))
}

fn present(device: BlockDevice) -> Present {
    let label = device.filesystem().map(|it| it.label).filter(|label| !label.is_empty());
    Present {
        size: device.size().unwrap_or_default(),
        label: label.or(device.partition_label),
        name: device.name,
    }
}
