//! Loop devices: a file as a read-only block device.
//!
//! Source: `linux/loop.h`, loop(4). `LOOP_CONFIGURE` needs Linux 5.8.

use crate::{Purpose, Result, ioctl};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use std::mem::{offset_of, size_of};

const LOOP_MAJOR: u32 = 7;
const LOOP_CLR_FD: u32 = 0x4C01;
const LOOP_CONFIGURE: u32 = 0x4C0A;
const LOOP_CTL_GET_FREE: u32 = 0x4C82;
const LO_FLAGS_READ_ONLY: u32 = 1;
const LO_FLAGS_AUTOCLEAR: u32 = 4;

/// Others may take the free device between asking for it and configuring it; more rivals than
/// this in a row means that something else is wrong.
const ATTEMPTS: usize = 8;

/// A loop device that shows a file, read-only.
///
/// Whoever holds the value keeps the device attached; with the last user gone (this value, a
/// mount, a device-mapper table) the kernel detaches it by itself.
#[derive(Debug)]
pub struct Loop {
    node: OwnedFd,
    number: u32,
}

impl Loop {
    /// Attaches `image` to a free loop device: read-only, through the page cache.
    pub fn attach(image: BorrowedFd<'_>) -> Result<Loop> {
        let control = open("/dev/loop-control", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
            .to("open the loop control")?;
        (1..ATTEMPTS)
            .find_map(|_| match attach_free(&control, image) {
                Err(error) if error.errno == Errno::BUSY => None,
                settled => Some(settled),
            })
            .unwrap_or_else(|| attach_free(&control, image))
    }

    /// The `N` of `/dev/loopN`.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Major and minor number, as device-mapper tables take them.
    pub fn device(&self) -> (u32, u32) {
        (LOOP_MAJOR, self.number)
    }
}

impl AsFd for Loop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.node.as_fd()
    }
}

/// Detaches `/dev/loopN`; while it is still in use the kernel does so after its last user.
pub fn detach(number: u32) -> Result<()> {
    let node = open_node(number)?;
    // SAFETY: LOOP_CLR_FD takes no argument; `open_node` keeps to nodes of the loop driver.
    unsafe { ioctl::plain::<LOOP_CLR_FD>(node.as_fd()) }.to("detach a loop device")
}

fn attach_free(control: &OwnedFd, image: BorrowedFd<'_>) -> Result<Loop> {
    // SAFETY: LOOP_CTL_GET_FREE takes no argument; `control` is the loop control device.
    let number = unsafe { ioctl::answer::<LOOP_CTL_GET_FREE>(control.as_fd()) }
        .to("find a free loop device")?
        .cast_unsigned();
    let node = open_node(number)?;
    // SAFETY: LOOP_CONFIGURE reads one `struct loop_config`, whose layout `Config` has by the
    // assertions below; it holds no pointers.
    unsafe { ioctl::set::<LOOP_CONFIGURE, _>(node.as_fd(), Config::read_only(image)) }
        .to("attach the image to a loop device")?;
    Ok(Loop { node, number })
}

fn open_node(number: u32) -> Result<OwnedFd> {
    open(format!("/dev/loop{number}"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .to("open a loop device")
}

/// `struct loop_config`.
#[repr(C)]
struct Config {
    fd: u32,
    block_size: u32,
    info: Info,
    reserved: [u64; 8],
}

/// `struct loop_info64`.
#[repr(C)]
struct Info {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    sizelimit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

const _: () = assert!(size_of::<Config>() == 304);
const _: () = assert!(size_of::<Info>() == 232);
const _: () = assert!(offset_of!(Config, info) == 8);
const _: () = assert!(offset_of!(Info, flags) == 52);

impl Config {
    fn read_only(image: BorrowedFd<'_>) -> Config {
        let info = Info {
            device: 0,
            inode: 0,
            rdevice: 0,
            offset: 0,
            sizelimit: 0,
            number: 0,
            encrypt_type: 0,
            encrypt_key_size: 0,
            flags: LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR,
            file_name: [0; 64],
            crypt_name: [0; 64],
            encrypt_key: [0; 32],
            init: [0; 2],
        };
        let fd = image.as_raw_fd().cast_unsigned();
        Config { fd, block_size: 0, info, reserved: [0; 8] }
    }
}
