//! Device-mapper: mapped devices made and removed through `/dev/mapper/control`.
//!
//! Source: `linux/dm-ioctl.h`, kernel documentation admin-guide/device-mapper.

use crate::{Error, Purpose, Result, ioctl};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::ioctl::{Opcode, opcode};
use std::mem::{offset_of, size_of};

const DM_REMOVE_ALL: Opcode = request(1);
const DM_DEV_CREATE: Opcode = request(3);
const DM_DEV_REMOVE: Opcode = request(4);
const DM_DEV_SUSPEND: Opcode = request(6);
const DM_DEV_STATUS: Opcode = request(7);
const DM_TABLE_LOAD: Opcode = request(9);

const DM_READONLY_FLAG: u32 = 1 << 0;
const DM_DEFERRED_REMOVE: u32 = 1 << 17;

/// The interface version that this was written against; the kernel takes any minor not above its
/// own, and 4.0.0 has all that is used here but deferred removal, which newer kernels read from
/// the flags whatever the version says.
const VERSION: [u32; 3] = [4, 0, 0];
const NAME_LEN: usize = 128;
const UUID_LEN: usize = 129;
const TYPE_LEN: usize = 16;

/// Longest parameter string; verity's is below 300 bytes.
const PARAMETERS_MAX: usize = 512;

/// One target that covers a whole mapped device.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Target type, as in `verity`.
    pub kind: &'a str,
    /// Length in sectors of 512 bytes.
    pub sectors: u64,
    /// The target's parameters, at most 511 bytes.
    pub parameters: &'a str,
}

/// When a mapped device that is still open is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// At once, or not at all.
    Now,
    /// When its last user closes it.
    Deferred,
}

/// A mapped device that is live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// The `N` of `/dev/dm-N`.
    pub minor: u32,
}

/// An open device-mapper control.
#[derive(Debug)]
pub struct Control(OwnedFd);

impl Control {
    /// Opens `/dev/mapper/control`; the `dm_mod` driver must be there.
    pub fn open() -> Result<Control> {
        open("/dev/mapper/control", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
            .map(Control)
            .to("open the device-mapper control")
    }

    /// Makes the device `name` read-only with one target and sets it live. Nothing is left behind
    /// when a step fails.
    pub fn create_read_only(&self, name: &str, target: Target<'_>) -> Result<Mapped> {
        let mut header = Header::named(name)?;
        self.call::<DM_DEV_CREATE>(&mut header).to("create a mapped device")?;
        let mapped = Mapped { minor: minor_of(header.dev) };
        match self.load_and_resume(name, target) {
            Ok(()) => Ok(mapped),
            Err(error) => Err(self.remove(name, Removal::Now).err().map_or(error, |_| error)),
        }
    }

    /// Removes the device `name`.
    pub fn remove(&self, name: &str, removal: Removal) -> Result<()> {
        let mut header = Header::named(name)?;
        header.flags = match removal {
            Removal::Now => 0,
            Removal::Deferred => DM_DEFERRED_REMOVE,
        };
        self.call::<DM_DEV_REMOVE>(&mut header).to("remove a mapped device")
    }

    /// Removes every device that nobody has open.
    pub fn remove_unused(&self) -> Result<()> {
        let mut header = Header::named("")?;
        self.call::<DM_REMOVE_ALL>(&mut header).to("remove unused mapped devices")
    }

    /// The live device `name`, if there is one.
    pub fn find(&self, name: &str) -> Result<Option<Mapped>> {
        let mut header = Header::named(name)?;
        match self.call::<DM_DEV_STATUS>(&mut header) {
            Ok(()) => Ok(Some(Mapped { minor: minor_of(header.dev) })),
            Err(Errno::NXIO) => Ok(None),
            Err(errno) => Err(Error { what: "look up a mapped device", errno }),
        }
    }

    fn load_and_resume(&self, name: &str, target: Target<'_>) -> Result<()> {
        let mut load = TableLoad::new(name, target)?;
        // SAFETY: DM_TABLE_LOAD reads and writes `data_size` bytes, which `TableLoad::new` sets to
        // the size of the structure; every bit pattern is a valid one.
        unsafe { ioctl::update::<DM_TABLE_LOAD, _>(self.0.as_fd(), &mut load) }
            .to("load the table of a mapped device")?;
        self.call::<DM_DEV_SUSPEND>(&mut Header::named(name)?).to("set a mapped device live")
    }

    fn call<const OPCODE: Opcode>(&self, header: &mut Header) -> rustix::io::Result<()> {
        // SAFETY: `self` is the device-mapper control, and each of its requests reads and writes
        // `data_size` bytes, which `Header::named` sets to the size of the structure; every bit
        // pattern is a valid one.
        unsafe { ioctl::update::<OPCODE, _>(self.0.as_fd(), header) }
    }
}

const fn request(number: u8) -> Opcode {
    opcode::read_write::<Header>(0xFD, number)
}

/// The kernel's `huge_encode_dev`: the minor's low byte at 0, its rest from bit 20.
fn minor_of(dev: u64) -> u32 {
    ((dev & 0xFF) | ((dev >> 12) & 0xF_FF00)) as u32
}

/// `struct dm_ioctl`.
#[repr(C)]
struct Header {
    version: [u32; 3],
    data_size: u32,
    data_start: u32,
    target_count: u32,
    open_count: i32,
    flags: u32,
    event_nr: u32,
    padding: u32,
    dev: u64,
    name: [u8; NAME_LEN],
    uuid: [u8; UUID_LEN],
    data: [u8; 7],
}

/// `struct dm_target_spec`.
#[repr(C)]
struct TargetSpec {
    sector_start: u64,
    length: u64,
    status: i32,
    next: u32,
    target_type: [u8; TYPE_LEN],
}

/// The argument of `DM_TABLE_LOAD` with one target.
#[repr(C)]
struct TableLoad {
    header: Header,
    spec: TargetSpec,
    parameters: [u8; PARAMETERS_MAX],
}

const _: () = assert!(size_of::<Header>() == 312);
const _: () = assert!(offset_of!(Header, dev) == 40);
const _: () = assert!(offset_of!(Header, uuid) == 176);
const _: () = assert!(size_of::<TargetSpec>() == 40);
const _: () = assert!(offset_of!(TableLoad, spec) == size_of::<Header>());
const _: () = assert!(offset_of!(TableLoad, parameters) == 352);
const _: () = assert!(DM_DEV_CREATE == 0xC138_FD03);

impl Header {
    fn named(name: &str) -> Result<Header> {
        Ok(Header {
            version: VERSION,
            data_size: size_of::<Header>() as u32,
            data_start: 0,
            target_count: 0,
            open_count: 0,
            flags: 0,
            event_nr: 0,
            padding: 0,
            dev: 0,
            name: terminated(name, "name a mapped device")?,
            uuid: [0; UUID_LEN],
            data: [0; 7],
        })
    }
}

impl TableLoad {
    fn new(name: &str, target: Target<'_>) -> Result<TableLoad> {
        let header = Header {
            data_size: size_of::<TableLoad>() as u32,
            data_start: offset_of!(TableLoad, spec) as u32,
            target_count: 1,
            flags: DM_READONLY_FLAG,
            ..Header::named(name)?
        };
        let spec = TargetSpec {
            sector_start: 0,
            length: target.sectors,
            status: 0,
            next: 0,
            target_type: terminated(target.kind, "name the type of a mapped device")?,
        };
        let parameters = terminated(target.parameters, "fit the table of a mapped device")?;
        Ok(TableLoad { header, spec, parameters })
    }
}

/// `text` with at least one zero byte after it.
fn terminated<const N: usize>(text: &str, what: &'static str) -> Result<[u8; N]> {
    let mut field = [0; N];
    match field.get_mut(..text.len()) {
        Some(start) if text.len() < N => start.copy_from_slice(text.as_bytes()),
        _ => return Err(Error { what, errno: Errno::NAMETOOLONG }),
    }
    Ok(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minor_is_decoded_past_its_low_byte() {
        // 253:5 and 253:0x12345 as `huge_encode_dev` writes them.
        assert_eq!(minor_of(0xFD05), 5);
        assert_eq!(minor_of(0x1230_FD45), 0x12345);
    }

    #[test]
    fn text_that_leaves_no_room_for_its_zero_is_refused() {
        assert_eq!(terminated::<4>("abc", "x"), Ok(*b"abc\0"));
        let error = Error { what: "x", errno: Errno::NAMETOOLONG };
        assert_eq!(terminated::<4>("abcd", "x"), Err(error));
    }
}
