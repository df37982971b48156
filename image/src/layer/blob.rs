//! A blob: bytes in a file, or in a part of one, that have a digest.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use pintle_verify::Digest;
use sha2::{Digest as _, Sha256};

use crate::progress::Progress;

/// How much is read at once.
const BUFFER: usize = 256 << 10;

/// Where a blob is.
#[derive(Clone, Debug)]
pub struct Blob {
    /// The file that it is in.
    pub file: Arc<File>,
    /// Where it starts.
    pub offset: u64,
    /// How long it is, in bytes.
    pub length: u64,
}

impl Blob {
    /// All of a file.
    pub fn whole(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { file: Arc::new(file), offset: 0, length })
    }

    /// Its first bytes, up to `limit`.
    pub fn head(&self, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.length.min(limit) as usize];
        self.file.read_exact_at(&mut bytes, self.offset)?;
        Ok(bytes)
    }
}

/// Reads a blob once, from start to end, and hashes it on the way.
pub(super) struct Reader<'a> {
    blob: &'a Blob,
    progress: &'a dyn Progress,
    hasher: Sha256,
    /// How much was read and hashed, of which `buffer[start..end]` was not yet taken.
    read: u64,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(blob: &'a Blob, progress: &'a dyn Progress) -> Self {
        let buffer = vec![0; BUFFER].into();
        Self { blob, progress, hasher: Sha256::new(), read: 0, buffer, start: 0, end: 0 }
    }

    /// How many bytes were read, up to a buffer ahead of what was taken.
    pub(super) fn position(&self) -> u64 {
        self.read
    }

    /// The next bytes without taking them: `count` of them, or fewer at the end.
    pub(super) fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        while self.end < count && self.read < self.blob.length {
            self.read_more()?;
        }
        Ok(&self.buffer[..self.end.min(count)])
    }

    /// Reads what is left, and says what all of the blob hashes to.
    pub(super) fn finish(mut self) -> io::Result<Digest> {
        while !self.fill_buf()?.is_empty() {
            self.start = self.end;
        }
        Ok(Digest::from_bytes(self.hasher.finalize().into()))
    }

    fn read_more(&mut self) -> io::Result<()> {
        let left = usize::try_from(self.blob.length - self.read).unwrap_or(usize::MAX);
        let end = self.buffer.len().min(self.end.saturating_add(left));
        let target = &mut self.buffer[self.end..end];
        self.blob.file.read_exact_at(target, self.blob.offset + self.read)?;
        self.hasher.update(&*target);
        self.progress.advance(target.len() as u64);
        self.read += target.len() as u64;
        self.end = end;
        Ok(())
    }
}

impl BufRead for Reader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            self.read_more()?;
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn consume(&mut self, count: usize) {
        self.start += count;
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let count = bytes.len().min(target.len());
        target[..count].copy_from_slice(&bytes[..count]);
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;
    use std::io::Write;

    fn blob(bytes: &[u8]) -> Blob {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[b"before", bytes, b"after"].concat()).unwrap();
        Blob { file: Arc::new(file), offset: 6, length: bytes.len() as u64 }
    }

    #[test]
    fn all_of_the_blob_is_hashed_whatever_was_taken() {
        let bytes: Vec<u8> = (0..BUFFER * 2 + 77).map(|i| (i % 251) as u8).collect();
        let blob = blob(&bytes);
        let mut reader = Reader::new(&blob, &Silent);
        let filled = reader.fill_buf().unwrap().len();
        reader.consume(filled - 3);
        assert_eq!(reader.peek(10).unwrap(), &bytes[BUFFER - 3..BUFFER + 7]);
        assert_eq!(reader.finish().unwrap(), Digest::of(&bytes));
    }

    #[test]
    fn peeking_past_the_end_gives_what_there_is() {
        let blob = blob(b"abc");
        let mut reader = Reader::new(&blob, &Silent);
        assert_eq!(reader.peek(18).unwrap(), b"abc");
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).unwrap();
        assert_eq!((rest, reader.peek(18).unwrap().len()), (b"abc".to_vec(), 0));
    }
}
