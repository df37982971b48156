//! The watchdog timer: feed it, or the hardware resets the machine.
//!
//! Source: kernel documentation watchdog/watchdog-api.

use crate::{Purpose, Result, ioctl};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::ioctl::{Opcode, opcode};

const WDIOC_GETSUPPORT: Opcode = opcode::read::<Info>(b'W', 0);
const WDIOC_GETBOOTSTATUS: Opcode = opcode::read::<i32>(b'W', 2);
const WDIOC_KEEPALIVE: Opcode = opcode::read::<i32>(b'W', 5);
const WDIOC_SETTIMEOUT: Opcode = opcode::read_write::<i32>(b'W', 6);
const WDIOC_GETTIMEOUT: Opcode = opcode::read::<i32>(b'W', 7);
const WDIOF_CARDRESET: u32 = 0x20;

/// Whether the last reset was the watchdog's doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastReset {
    /// The watchdog reset the machine.
    Watchdog,
    /// Something else did.
    Other,
    /// The driver cannot tell.
    Unknown,
}

/// A running watchdog. Dropping the value leaves it running: only [`Watchdog::disarm`] ends it.
#[derive(Debug)]
pub struct Watchdog(OwnedFd);

impl Watchdog {
    /// Opens, and thereby starts, `/dev/watchdog0`.
    pub fn open() -> Result<Watchdog> {
        open("/dev/watchdog0", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
            .map(Watchdog)
            .to("open the watchdog")
    }

    /// Takes over a watchdog that a predecessor opened.
    pub fn from_fd(fd: OwnedFd) -> Watchdog {
        Watchdog(fd)
    }

    /// Sets the time after which an unfed watchdog resets, or the half of it, and so on, where the
    /// hardware cannot count so far; returns what the hardware made of it.
    pub fn set_timeout(&self, seconds: u16) -> Result<u16> {
        match self.try_timeout(seconds) {
            Err(error) if error.errno == Errno::INVAL && seconds > 1 => {
                self.set_timeout(seconds / 2)
            }
            Err(error) if error.errno == Errno::OPNOTSUPP => self.timeout(),
            outcome => outcome,
        }
    }

    fn try_timeout(&self, seconds: u16) -> Result<u16> {
        let mut timeout = i32::from(seconds);
        // SAFETY: a watchdog reads and writes one int for WDIOC_SETTIMEOUT.
        unsafe { ioctl::update::<WDIOC_SETTIMEOUT, _>(self.0.as_fd(), &mut timeout) }
            .to("set the watchdog's timeout")?;
        Ok(u16::try_from(timeout).unwrap_or(u16::MAX))
    }

    /// The time after which it resets, unfed.
    fn timeout(&self) -> Result<u16> {
        let mut timeout = 0_i32;
        // SAFETY: a watchdog writes one int for WDIOC_GETTIMEOUT.
        unsafe { ioctl::update::<WDIOC_GETTIMEOUT, _>(self.0.as_fd(), &mut timeout) }
            .to("ask for the watchdog's timeout")?;
        Ok(u16::try_from(timeout).unwrap_or(u16::MAX))
    }

    /// Feeds it.
    pub fn keep_alive(&self) -> Result<()> {
        // SAFETY: WDIOC_KEEPALIVE reads and writes no memory, whatever its number says.
        unsafe { ioctl::plain::<WDIOC_KEEPALIVE>(self.0.as_fd()) }.to("feed the watchdog")
    }

    /// Who caused the last reset.
    pub fn last_reset(&self) -> Result<LastReset> {
        let mut status = 0_u32;
        // SAFETY: a watchdog writes one int for WDIOC_GETBOOTSTATUS.
        unsafe { ioctl::update::<WDIOC_GETBOOTSTATUS, _>(self.0.as_fd(), &mut status) }
            .to("ask the watchdog for the last reset")?;
        match status & WDIOF_CARDRESET {
            0 if self.info()?.options & WDIOF_CARDRESET == 0 => Ok(LastReset::Unknown),
            0 => Ok(LastReset::Other),
            _ => Ok(LastReset::Watchdog),
        }
    }

    /// Stops it (the magic close), where the driver allows that (`nowayout` does not).
    pub fn disarm(self) -> Result<()> {
        rustix::io::write(&self.0, b"V").map(drop).to("disarm the watchdog")
    }

    fn info(&self) -> Result<Info> {
        let mut info = Info { options: 0, firmware_version: 0, identity: [0; 32] };
        // SAFETY: a watchdog writes one `struct watchdog_info` for WDIOC_GETSUPPORT; every bit
        // pattern of it is valid.
        unsafe { ioctl::update::<WDIOC_GETSUPPORT, _>(self.0.as_fd(), &mut info) }
            .to("ask what the watchdog can do")?;
        Ok(info)
    }
}

impl AsFd for Watchdog {
    fn as_fd(&self) -> rustix::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// `struct watchdog_info`.
#[repr(C)]
struct Info {
    options: u32,
    firmware_version: u32,
    identity: [u8; 32],
}

const _: () = assert!(size_of::<Info>() == 40);
const _: () = assert!(WDIOC_SETTIMEOUT == 0xC004_5706);
