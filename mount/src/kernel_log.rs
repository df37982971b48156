//! What the kernel logged while a step failed.
//!
//! Source: kernel documentation ABI/testing/dev-kmsg.

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, read};
use rustix::time::{ClockId, clock_gettime};

/// A record is at most this long; the kernel answers EINVAL to less room.
const RECORD_MAX: usize = 8192;

/// More lines than these tell nothing new about one failed step.
const LINES_MAX: usize = 8;

/// Records are this many at most in a log of 16 MiB; it ends the reading when the kernel logs
/// faster than it is read.
const RECORDS_MAX: usize = 1 << 18;

/// A moment on the kernel log's clock, in microseconds since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark(u64);

impl Mark {
    pub(crate) fn now() -> Mark {
        let now = clock_gettime(ClockId::Monotonic);
        let (seconds, nanoseconds) = (now.tv_sec.cast_unsigned(), now.tv_nsec.cast_unsigned());
        Mark(seconds.saturating_mul(1_000_000).saturating_add(nanoseconds / 1000))
    }
}

/// The kernel's ring buffer, read from its oldest record.
pub(crate) struct KernelLog(OwnedFd);

impl KernelLog {
    /// The last lines logged since `mark`; none where the log cannot be read.
    pub(crate) fn since(mark: Mark) -> Vec<String> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(kmsg) = open("/dev/kmsg", flags, Mode::empty()) else { return Vec::new() };
        KernelLog(kmsg).lines_since(mark)
    }

    fn lines_since(&self, mark: Mark) -> Vec<String> {
        let mut lines: Vec<String> = std::iter::from_fn(|| self.record())
            .take(RECORDS_MAX)
            .filter(|record| record.time >= mark)
            .map(|record| record.text)
            .collect();
        lines.split_off(lines.len().saturating_sub(LINES_MAX))
    }

    fn record(&self) -> Option<Record> {
        let mut buffer = [0; RECORD_MAX];
        loop {
            match read(&self.0, &mut buffer) {
                Ok(length) => return Record::parse(buffer.get(..length)?),
                // Overwritten before it was read; the next read goes on with the oldest.
                Err(Errno::PIPE | Errno::INTR) => {}
                Err(_) => return None,
            }
        }
    }
}

struct Record {
    time: Mark,
    text: String,
}

impl Record {
    /// `priority,sequence,microseconds,flags;text`, then lines of properties.
    fn parse(record: &[u8]) -> Option<Record> {
        let record = String::from_utf8_lossy(record);
        let (prefix, text) = record.lines().next()?.split_once(';')?;
        let time = prefix.split(',').nth(2)?.parse().ok()?;
        Some(Record { time: Mark(time), text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_gives_time_and_text() {
        let record = b"3,610,5140900,-;erofs: (device dm-0): bad; magic\n SUBSYSTEM=block\n";
        let record = Record::parse(record).unwrap();
        assert_eq!(record.time, Mark(5_140_900));
        assert_eq!(record.text, "erofs: (device dm-0): bad; magic");
    }

    #[test]
    fn what_is_no_record_is_none() {
        for text in ["", "no header", "1,2;x", "1,2,x,-;x"] {
            assert!(Record::parse(text.as_bytes()).is_none(), "{text}");
        }
    }
}
