//! What the kernel logged while a step failed.
//!
//! Source: kernel documentation ABI/testing/dev-kmsg.

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, SeekFrom, open, seek};
use rustix::io::{Errno, read};

/// A record is at most this long; the kernel answers EINVAL to less room.
const RECORD_MAX: usize = 8192;

/// More lines than these tell nothing new about one failed step.
const LINES_MAX: usize = 8;

/// A log of 16 MiB holds fewer records; this ends the reading when the kernel logs faster than it
/// is read.
const RECORDS_MAX: usize = 1 << 18;

/// The kernel's log from a moment on. The moment is a place in the log: its time stamps are of
/// another clock than the ones that user space can read.
#[derive(Debug)]
pub(crate) struct KernelLog(Option<OwnedFd>);

impl KernelLog {
    /// The log from now on; always empty where it cannot be read.
    pub(crate) fn from_now() -> KernelLog {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let log = open("/dev/kmsg", flags, Mode::empty()).ok();
        KernelLog(log.filter(|log| seek(log, SeekFrom::End(0)).is_ok()))
    }

    /// The last lines since then.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = std::iter::from_fn(|| self.line()).take(RECORDS_MAX).collect();
        lines.split_off(lines.len().saturating_sub(LINES_MAX))
    }

    fn line(&self) -> Option<String> {
        let mut buffer = [0; RECORD_MAX];
        loop {
            match read(self.0.as_ref()?, &mut buffer) {
                Ok(length) => return text(buffer.get(..length)?),
                // Overwritten before it was read; the next read goes on with the oldest.
                Err(Errno::PIPE | Errno::INTR) => {}
                Err(_) => return None,
            }
        }
    }
}

/// The text of a record: `priority,sequence,microseconds,flags;text`, then lines of properties.
fn text(record: &[u8]) -> Option<String> {
    let record = String::from_utf8_lossy(record);
    let (_, text) = record.lines().next()?.split_once(';')?;
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_gives_its_text() {
        let record = b"3,610,5140900,-;erofs: (device dm-0): bad; magic\n SUBSYSTEM=block\n";
        assert_eq!(text(record).unwrap(), "erofs: (device dm-0): bad; magic");
    }

    #[test]
    fn what_is_no_record_is_none() {
        assert_eq!(text(b""), None);
        assert_eq!(text(b"no header\n a;b"), None);
    }
}
