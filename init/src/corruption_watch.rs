//! Hears of corrupt blocks: dm-verity tells by uevent, fs-verity in the kernel log.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

use pintle_mount::corruption::Corruption;
use pintle_sys::uevent::{MESSAGE_MAX, Received, Socket};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::OFlags;

use crate::report::Report;

/// A record of `/dev/kmsg` is no longer than this (`PRINTKRB_RECORD_MAX` and its head).
const RECORD_MAX: usize = 8192;

/// Records looked at in one turn, so that a flood of them cannot keep PID 1 from the rest.
const BURST_MAX: usize = 256;

/// Open ears; each that does not open is reported and done without.
pub(crate) struct CorruptionWatch {
    uevents: Option<Socket>,
    kernel_log: Option<File>,
}

impl CorruptionWatch {
    /// From now on nothing that the kernel says of a corrupt block is missed.
    pub(crate) fn open(report: &mut Report) -> Self {
        let uevents = Socket::bind();
        let kernel_log = open_kernel_log();
        Self {
            uevents: uevents.inspect_err(|e| report.alert("uevents", &e.to_string())).ok(),
            kernel_log: kernel_log.inspect_err(|e| report.alert("/dev/kmsg", &e.to_string())).ok(),
        }
    }

    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let uevents = self.uevents.iter().map(Socket::as_fd);
        uevents.chain(self.kernel_log.iter().map(File::as_fd))
    }

    /// What has been said since the last time.
    pub(crate) fn heard(&mut self) -> Vec<Corruption> {
        let mut heard = self.uevents.as_ref().map(from_uevents).unwrap_or_default();
        heard.extend(self.kernel_log.as_mut().map(from_kernel_log).unwrap_or_default());
        heard
    }
}

fn from_uevents(socket: &Socket) -> Vec<Corruption> {
    let mut heard = Vec::new();
    let mut buffer = [0; MESSAGE_MAX];
    for _ in 0..BURST_MAX {
        match socket.receive(&mut buffer) {
            Ok(Received::Event(event)) => heard.extend(Corruption::of_event(&event)),
            Ok(Received::Overrun) => {}
            Ok(Received::Nothing) | Err(_) => break,
        }
    }
    heard
}

/// A read gives one record: `priority,sequence,time,flags;text`.
fn from_kernel_log(log: &mut File) -> Vec<Corruption> {
    let mut heard = Vec::new();
    let mut record = [0; RECORD_MAX];
    for _ in 0..BURST_MAX {
        match log.read(&mut record) {
            Ok(length) => heard.extend(in_record(record.get(..length).unwrap_or_default())),
            // Records were overwritten before they were read; the next read goes on behind the gap.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Err(_) => break,
        }
    }
    heard
}

/// dm-verity says in the log what its uevent says too; only the word of fs-verity counts here. A line that user space
/// wrote has another facility than the kernel's 0, and says nothing about blocks.
fn in_record(record: &[u8]) -> Option<Corruption> {
    let text = std::str::from_utf8(record).ok()?;
    let (head, line) = text.split_once(';')?;
    let priority: u32 = head.split(',').next()?.parse().ok()?;
    let corruption = Corruption::of_log(line).filter(|_| priority >> 3 == 0)?;
    matches!(corruption, Corruption::File { .. }).then_some(corruption)
}

fn open_kernel_log() -> std::io::Result<File> {
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let mut log = OpenOptions::new().read(true).custom_flags(nonblocking).open("/dev/kmsg")?;
    log.seek(SeekFrom::End(0))?;
    Ok(log)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "fs-verity (vda, inode 13): FILE CORRUPTED! pos=4096, level=-1, want_hash=sha256:00, real_hash=sha256:11";

    #[test]
    fn only_the_kernel_is_believed() {
        assert!(in_record(format!("3,100,5,-;{LINE}\n").as_bytes()).is_some());
        assert_eq!(in_record(format!("11,100,5,-;{LINE}\n").as_bytes()), None);
        assert_eq!(in_record(LINE.as_bytes()), None);
        assert_eq!(in_record(b"3,100,5,-;something else\n"), None);
        assert_eq!(in_record(b""), None);
    }
}
