//! How much an image may ask for.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Fault;

/// What all layers of an image together may ask for. A kilobyte of tar can ask for a petabyte of
/// disk or of memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of uncompressed tar, and of the holes of sparse files.
    pub bytes: u64,
    /// How many times its compressed size a layer may unpack to, past the first GiB. gzip reaches
    /// 1032, zstd 32 000.
    pub ratio: u64,
    /// Entries of all layers, and files of the merged tree.
    pub entries: u64,
    /// Bytes of names, link targets, extended attributes and sparse maps: they are what stays in
    /// memory.
    pub metadata: u64,
}

impl Default for Limits {
    /// 64 GiB, ratio 256, 4 million entries, 1 GiB of metadata: several times the largest images in
    /// use, and still what a build host has.
    fn default() -> Self {
        Self { bytes: 64 << 30, ratio: 256, entries: 4_000_000, metadata: 1 << 30 }
    }
}

/// Up to here the ratio is not looked at: a file system image of zeros is a real file.
const RATIO_FREE: u64 = 1 << 30;

impl Limits {
    /// Whether `produced` bytes may come of `consumed` ones.
    pub(super) fn check_ratio(&self, consumed: u64, produced: u64) -> Result<(), Fault> {
        let allowed = RATIO_FREE.max(consumed.saturating_mul(self.ratio));
        if produced <= allowed { Ok(()) } else { Err(Fault::Ratio { limit: self.ratio }) }
    }
}

/// What is used up of the limits, by all layers at once.
#[derive(Debug)]
pub(super) struct Quota {
    pub(super) limits: Limits,
    bytes: AtomicU64,
    entries: AtomicU64,
    metadata: AtomicU64,
}

impl Quota {
    pub(super) fn new(limits: Limits) -> Self {
        let zero = || AtomicU64::new(0);
        Self { limits, bytes: zero(), entries: zero(), metadata: zero() }
    }

    pub(super) fn take_bytes(&self, bytes: u64) -> Result<(), Fault> {
        take(&self.bytes, bytes, self.limits.bytes, "bytes unpacked")
    }

    pub(super) fn take_entry(&self, metadata: u64) -> Result<(), Fault> {
        take(&self.entries, 1, self.limits.entries, "entries")?;
        take(&self.metadata, metadata, self.limits.metadata, "bytes of names and attributes")
    }
}

fn take(used: &AtomicU64, more: u64, limit: u64, what: &'static str) -> Result<(), Fault> {
    used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
        used.checked_add(more).filter(|sum| *sum <= limit)
    })
    .map(|_| ())
    .map_err(|_| Fault::Limit { what, limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_used_up_exactly() {
        let quota = Quota::new(Limits { bytes: 10, ..Limits::default() });
        assert!(quota.take_bytes(4).is_ok());
        assert!(quota.take_bytes(u64::MAX).is_err());
        assert!(quota.take_bytes(6).is_ok());
        assert_eq!(quota.take_bytes(1).unwrap_err().to_string(), "more than 10 bytes unpacked");
    }

    #[test]
    fn the_ratio_counts_past_the_first_gibibyte() {
        let limits = Limits { ratio: 1000, ..Limits::default() };
        assert!(limits.check_ratio(1, 1 << 30).is_ok());
        assert!(limits.check_ratio(1, (1 << 30) + 1).is_err());
        assert!(limits.check_ratio(1 << 30, 1000 << 30).is_ok());
    }
}
