//! A network of the test's own, in which little is on its way.

use std::fs;
use std::process::Command;

use nix::sched::{CloneFlags, unshare};

/// Moves this thread, and those that it starts, into a network with nothing in it but 127.0.0.1.
///
/// Sockets buffer a few KiB there, as those of a slow network do: what lies unread in a buffer when a worker is killed is
/// lost, and says nothing about the worker.
pub(crate) fn enter() {
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    let up = ["ip", "link", "set", "lo", "up"];
    assert!(Command::new("/bin/busybox").args(up).status().unwrap().success());
    for direction in ["tcp_rmem", "tcp_wmem"] {
        fs::write(format!("/proc/sys/net/ipv4/{direction}"), "4096 8192 16384").unwrap();
    }
}
