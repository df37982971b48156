//! Saying to whoever supervises this service that it is ready: sd_notify(3).

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Says that the service is ready; to nobody, where nobody asked.
pub(crate) fn ready() -> io::Result<()> {
    say("READY=1")
}

/// Says what the service does. PID 1 wakes up, and passes on what is new in the report.
pub(crate) fn status(text: &str) {
    say(&format!("STATUS={text}")).unwrap_or_default();
}

fn say(message: &str) -> io::Result<()> {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return Ok(()) };
    let path = socket.to_string_lossy();
    let address = match path.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(path.as_ref())?,
    };
    UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address).map(drop)
}
