//! Kernel uevents: the socket, and a view of one message.
//!
//! Source: `lib/kobject_uevent.c`; netlink(7), `NETLINK_KOBJECT_UEVENT`.

use crate::{Error, Purpose, Result};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use rustix::net::{
    AddressFamily, RecvFlags, SocketAddrAny, SocketFlags, SocketType, bind, recvfrom, socket_with,
};

/// The kernel's own messages; user space (udev) sends in group 2.
const KERNEL_GROUP: u32 = 1;

/// A message is a path and at most `UEVENT_BUFFER_SIZE` (2048) bytes of keys.
pub const MESSAGE_MAX: usize = 8192;

/// Loading drivers makes bursts; 1 MiB holds some two thousand messages.
const RECEIVE_BUFFER: usize = 1 << 20;

/// A socket bound to the kernel's uevents: every event from then on is received or reported as
/// [`Received::Overrun`].
#[derive(Debug)]
pub struct Socket(OwnedFd);

/// What a read of the socket gave.
#[derive(Debug)]
pub enum Received<'a> {
    /// An event of the kernel.
    Event(Uevent<'a>),
    /// Events were lost: the state of the devices must be read anew.
    Overrun,
    /// Nothing is waiting.
    Nothing,
}

impl Socket {
    /// Binds a non-blocking socket.
    pub fn bind() -> Result<Socket> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let kind = SocketType::DGRAM;
        let socket = socket_with(AddressFamily::NETLINK, kind, flags, Some(KOBJECT_UEVENT))
            .to("make the uevent socket")?;
        set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER)
            .to("size the uevent socket's buffer")?;
        bind(&socket, &SocketAddrNetlink::new(0, KERNEL_GROUP)).to("bind the uevent socket")?;
        Ok(Socket(socket))
    }

    /// Takes the next event into `buffer`. What is not the kernel's, or not an event, is skipped.
    pub fn receive<'a>(&self, buffer: &'a mut [u8; MESSAGE_MAX]) -> Result<Received<'a>> {
        let length = loop {
            match recvfrom(&self.0, buffer.as_mut_slice(), RecvFlags::empty()) {
                Ok((_, length, Some(sender))) if is_event(sender.clone(), buffer, length) => {
                    break length;
                }
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(Received::Nothing),
                Err(Errno::NOBUFS) => return Ok(Received::Overrun),
                Err(errno) => return Err(Error { what: "receive a uevent", errno }),
            }
        };
        let event = buffer.get(..length).and_then(Uevent::parse);
        Ok(event.map_or(Received::Nothing, Received::Event))
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn is_event(sender: SocketAddrAny, buffer: &[u8], length: usize) -> bool {
    let from_kernel = SocketAddrNetlink::try_from(sender).is_ok_and(|sender| sender.pid() == 0);
    from_kernel && buffer.get(..length).and_then(Uevent::parse).is_some()
}

/// A uevent: `action@path`, then `KEY=value` strings, each ended by a zero byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uevent<'a> {
    properties: &'a [u8],
}

impl<'a> Uevent<'a> {
    /// Reads a message of the kernel; `None` for anything else (udev's begin with `libudev`).
    pub fn parse(message: &'a [u8]) -> Option<Uevent<'a>> {
        let end = message.iter().position(|&byte| byte == 0)?;
        let (summary, rest) = message.split_at_checked(end)?;
        let event = Uevent { properties: rest.get(1..)? };
        let (action, path) = split_once(summary, b'@')?;
        let agrees = event.get("ACTION")? == action && event.get("DEVPATH")? == path;
        agrees.then_some(event)
    }

    /// The value of a key, as in `get("SUBSYSTEM")`.
    pub fn get(&self, key: &str) -> Option<&'a [u8]> {
        self.properties().find_map(|(name, value)| (name == key.as_bytes()).then_some(value))
    }

    /// The value of a key where it is text.
    pub fn text(&self, key: &str) -> Option<&'a str> {
        self.get(key).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// All keys with their values, in the kernel's order.
    pub fn properties(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.properties.split(|&byte| byte == 0).filter_map(|line| split_once(line, b'='))
    }
}

fn split_once(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let index = bytes.iter().position(|&byte| byte == at)?;
    Some((bytes.get(..index)?, bytes.get(index + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADD: &[u8] = b"add@/devices/vda1\0ACTION=add\0DEVPATH=/devices/vda1\0SUBSYSTEM=block\0\
        PARTNAME=a=b\0SEQNUM=7\0";

    #[test]
    fn keys_are_found_and_values_may_hold_equals_signs() {
        let event = Uevent::parse(ADD).unwrap();
        assert_eq!(event.text("ACTION"), Some("add"));
        assert_eq!(event.text("PARTNAME"), Some("a=b"));
        assert_eq!(event.get("PART"), None);
        assert_eq!(event.properties().count(), 5);
    }

    #[test]
    fn what_the_kernel_does_not_write_is_no_event() {
        let foreign: [&[u8]; 6] = [
            b"",
            b"\0",
            b"libudev\0\xfe\xed\xca\xfe",
            b"add@/x",
            b"add@/x\0ACTION=remove\0DEVPATH=/x\0",
            b"add@/x\0ACTION=add\0",
        ];
        for message in foreign {
            assert_eq!(Uevent::parse(message), None, "{message:?}");
        }
    }
}
