//! The socket where services say that they are ready: sd_notify(3).
//!
//! Anybody may send. A datagram counts for the service in whose cgroup its sender is, by the credentials that the kernel
//! attaches; a datagram that is empty, too long, or not text says nothing.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Mode, chmodat};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_passcred;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketAddrUnix,
    SocketFlags, SocketType, bind, recvmsg, socket_with,
};
use rustix::process::Pid;

use crate::supervise::NOTIFY_SOCKET;

/// More than systemd's own services send; what is longer is cut off by the kernel and then ignored.
const MESSAGE_MAX: usize = 4096;

/// Messages read at a time, so that a flood from one service cannot keep PID 1 from the others.
const BURST_MAX: usize = 64;

/// `0::/pintle/NAME/…` is short; a longer line names no service.
const CGROUP_MAX: usize = 4096;

/// The listening end.
pub(crate) struct NotifySocket(OwnedFd);

impl NotifySocket {
    /// Binds the socket anew.
    pub(crate) fn bind() -> Result<Self, Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
        set_socket_passcred(&socket, true)?;
        match rustix::fs::unlink(NOTIFY_SOCKET) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
        bind(&socket, &SocketAddrUnix::new(NOTIFY_SOCKET)?)?;
        // Services run as any user.
        chmodat(CWD, NOTIFY_SOCKET, Mode::from_raw_mode(0o666), AtFlags::empty())?;
        Ok(Self(socket))
    }

    /// The names of the services that have said that they are ready, up to a burst of messages.
    pub(crate) fn ready(&self) -> Vec<String> {
        let messages = std::iter::from_fn(|| self.receive()).take(BURST_MAX);
        let ready = messages.filter(|message| says_ready(&message.text));
        ready.filter_map(|message| service_of(message.sender?)).collect()
    }

    fn receive(&self) -> Option<Message> {
        let mut text = [0; MESSAGE_MAX];
        let mut space =
            [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1), ScmRights(8))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::TRUNC;
        let mut parts = [IoSliceMut::new(&mut text)];
        let received = recvmsg(&self.0, &mut parts, &mut ancillary, flags).ok()?;
        // Descriptors that came along are closed here.
        let sender = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmCredentials(credentials) => Some(credentials.pid),
            _ => None,
        });
        Some(Message { text: text.get(..received.bytes).unwrap_or_default().to_vec(), sender })
    }
}

impl AsFd for NotifySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

struct Message {
    /// Empty where the datagram was longer than its limit.
    text: Vec<u8>,
    sender: Option<Pid>,
}

fn says_ready(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n').any(|line| line == b"READY=1")
}

fn service_of(sender: Pid) -> Option<String> {
    let path = format!("/proc/{}/cgroup", sender.as_raw_nonzero());
    let mut text = Vec::new();
    let file = std::fs::File::open(path).ok()?;
    std::io::Read::read_to_end(&mut std::io::Read::take(file, CGROUP_MAX as u64), &mut text)
        .ok()?;
    service_in(std::str::from_utf8(&text).ok()?).map(str::to_owned)
}

/// The `NAME` of a line `0::/pintle/NAME` or `0::/pintle/NAME/…`.
fn service_in(cgroup: &str) -> Option<&str> {
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::/pintle/"))?;
    path.split('/').next().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_line_says_ready() {
        for text in ["READY=1", "STATUS=up\nREADY=1", "READY=1\nMAINPID=7\n"] {
            assert!(says_ready(text.as_bytes()), "{text:?}");
        }
        for text in ["", "\n", "READY=0", "READY=10", "XREADY=1", "STATUS=READY=1", "READY"] {
            assert!(!says_ready(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn a_sender_belongs_to_the_service_whose_cgroup_it_is_in() {
        let cases = [
            ("0::/pintle/web\n", Some("web")),
            ("0::/pintle/web/worker\n", Some("web")),
            ("1:cpu:/x\n0::/pintle/web\n", Some("web")),
            ("0::/pintle/\n", None),
            ("0::/pintle\n", None),
            ("0::/\n", None),
            ("0::/other/pintle/web\n", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(service_in(text), expected, "{text:?}");
        }
    }
}
