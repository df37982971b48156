//! A part of an image that is being made.

use std::ops::Range;

/// Bytes of an image from some position on. What is put elsewhere is cut off, so that makers need
/// not care.
pub(super) struct Window<'b> {
    start: u64,
    bytes: &'b mut [u8],
}

impl<'b> Window<'b> {
    /// The window from `start` on, all zeros.
    pub(super) fn zeroed(start: u64, bytes: &'b mut [u8]) -> Self {
        bytes.fill(0);
        Self { start, bytes }
    }

    /// The positions that it covers.
    pub(super) fn range(&self) -> Range<u64> {
        self.start..self.start + self.bytes.len() as u64
    }

    /// Puts `source` at position `at`.
    pub(super) fn put(&mut self, at: u64, source: &[u8]) {
        if let Some((skipped, part)) = self.part(at, source.len() as u64) {
            let skipped = skipped as usize;
            part.copy_from_slice(&source[skipped..skipped + part.len()]);
        }
    }

    /// The part of a piece of `length` bytes at position `at` that the window covers, with how much
    /// of the piece comes before it.
    pub(super) fn part(&mut self, at: u64, length: u64) -> Option<(u64, &mut [u8])> {
        let covered = self.range();
        let from = at.max(covered.start);
        let to = (at + length).min(covered.end);
        if from >= to {
            return None;
        }
        let place = (from - covered.start) as usize..(to - covered.start) as usize;
        Some((from - at, &mut self.bytes[place]))
    }
}
