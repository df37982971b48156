//! The bytes of an uncompressed tar, piece by piece.

use super::Fault;

/// Where a tar's bytes come from.
pub trait Input {
    /// The next bytes, as many as there are at hand; none at the end.
    fn fill(&mut self) -> Result<&[u8], Fault>;

    /// Passes over the first `count` of what [`fill`](Self::fill) gave.
    fn consume(&mut self, count: usize);

    /// Passes over up to `count` bytes and says over how many: fewer only at the end.
    fn skip(&mut self, count: u64) -> Result<u64, Fault> {
        let mut left = count;
        while left > 0 {
            let step = (self.fill()?.len() as u64).min(left);
            if step == 0 {
                break;
            }
            self.consume(step as usize);
            left -= step;
        }
        Ok(count - left)
    }

    /// Fills `buffer`, or as much of it as there is, and says how much.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        let mut filled = 0;
        while filled < buffer.len() {
            let bytes = self.fill()?;
            let step = bytes.len().min(buffer.len() - filled);
            if step == 0 {
                break;
            }
            buffer[filled..filled + step].copy_from_slice(&bytes[..step]);
            self.consume(step);
            filled += step;
        }
        Ok(filled)
    }
}

impl Input for &[u8] {
    fn fill(&mut self) -> Result<&[u8], Fault> {
        Ok(self)
    }

    fn consume(&mut self, count: usize) {
        *self = &self[count..];
    }
}
