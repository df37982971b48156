//! Writing a delta: operations gathered into sections, sections into one zstd frame.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, Write};

use super::varint::{put, put_operation};
use super::{MAGIC, MAX_ADDED, MAX_NEW, MAX_OPERATIONS, Operation, WINDOW_LOG};

/// The strongest there is; it is done once.
const LEVEL: i32 = 22;

/// The smallest window that zstd has.
const MIN_WINDOW_LOG: u32 = 10;

/// An operation has 40 bytes at most.
const OPERATION: usize = 40;

/// So many equal bytes in a row are copied; fewer are cheaper among those that are added, as zeros.
const MIN_COPY: usize = 1024;

/// A delta that is being written. It is compressed when it is known how long it is: zstd takes memory and time by that.
pub(super) struct Writer {
    content: BufWriter<File>,
    operation: Operation,
    /// Where the operation ends in the older image.
    at: u64,
    operations: Vec<u8>,
    added: Vec<u8>,
    new: Vec<u8>,
}

impl Writer {
    pub(super) fn new() -> io::Result<Self> {
        let mut content = BufWriter::new(tempfile::tempfile()?);
        content.write_all(MAGIC)?;
        let (operations, added, new) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { content, operation: Operation::default(), at: 0, operations, added, new })
    }

    /// What the older image has at `from`.
    pub(super) fn copy(&mut self, from: u64, length: u64) -> io::Result<()> {
        if self.at != from || self.operation.add > 0 || self.operation.new > 0 {
            self.go(from)?;
        }
        self.operation.copy += length;
        self.at += length;
        Ok(())
    }

    /// What is like the older image at `from`.
    pub(super) fn alike(
        &mut self,
        mut from: u64,
        mut old: &[u8],
        mut new: &[u8],
    ) -> io::Result<()> {
        while !new.is_empty() {
            let equal = equal(old, new);
            let is_copied = equal >= MIN_COPY;
            let length = if is_copied { equal } else { unequal(old, new) };
            let ((was, old_rest), (is, new_rest)) = (old.split_at(length), new.split_at(length));
            match is_copied {
                true => self.copy(from, length as u64)?,
                false => self.add(from, was, is)?,
            }
            (from, old, new) = (from + length as u64, old_rest, new_rest);
        }
        Ok(())
    }

    fn add(&mut self, mut from: u64, old: &[u8], new: &[u8]) -> io::Result<()> {
        for (old, new) in old.chunks(MAX_ADDED).zip(new.chunks(MAX_ADDED)) {
            if self.added.len() + new.len() > MAX_ADDED {
                self.end_section()?;
            }
            if self.at != from || self.operation.new > 0 {
                self.go(from)?;
            }
            self.added.extend(new.iter().zip(old).map(|(new, old)| new.wrapping_sub(*old)));
            self.operation.add += new.len() as u64;
            from += new.len() as u64;
            self.at = from;
        }
        Ok(())
    }

    /// What is like nothing.
    pub(super) fn new_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        for bytes in bytes.chunks(MAX_NEW) {
            if self.new.len() + bytes.len() > MAX_NEW {
                self.end_section()?;
            }
            self.new.extend(bytes);
            self.operation.new += bytes.len() as u64;
        }
        Ok(())
    }

    /// Ends the operation, and has the next one begin at `from` in the older image.
    fn go(&mut self, from: u64) -> io::Result<()> {
        self.operation.seek = from.wrapping_sub(self.at).cast_signed();
        self.at = from;
        put_operation(&mut self.operations, &std::mem::take(&mut self.operation));
        match self.operations.len() + 2 * OPERATION > MAX_OPERATIONS {
            true => self.write_section(),
            false => Ok(()),
        }
    }

    fn end_section(&mut self) -> io::Result<()> {
        put_operation(&mut self.operations, &std::mem::take(&mut self.operation));
        self.write_section()
    }

    fn write_section(&mut self) -> io::Result<()> {
        let mut sizes = Vec::new();
        let parts = [&mut self.operations, &mut self.added, &mut self.new];
        parts.iter().for_each(|part| put(&mut sizes, part.len() as u64));
        self.content.write_all(&sizes)?;
        parts.into_iter().try_for_each(|part| {
            self.content.write_all(part)?;
            part.clear();
            Ok(())
        })
    }

    pub(super) fn compress(mut self, out: impl Write) -> io::Result<()> {
        if self.operation != Operation::default() || !self.operations.is_empty() {
            self.end_section()?;
        }
        let mut content = self.content.into_inner()?;
        let size = content.stream_position()?;
        content.rewind()?;
        let mut out = zstd::Encoder::new(out, LEVEL)?;
        out.window_log(WINDOW_LOG.min(size.next_power_of_two().ilog2().max(MIN_WINDOW_LOG)))?;
        out.long_distance_matching(true)?;
        out.set_pledged_src_size(Some(size))?;
        io::copy(&mut content.take(size), &mut out)?;
        out.finish().map(drop)
    }
}

/// How many bytes are the same, from the first on.
fn equal(old: &[u8], new: &[u8]) -> usize {
    old.iter().zip(new).take_while(|(old, new)| old == new).count()
}

/// How many bytes there are until [`MIN_COPY`] are the same, at least one.
fn unequal(old: &[u8], new: &[u8]) -> usize {
    let (mut run, mut at) = (0, 0);
    for (old, new) in old.iter().zip(new) {
        at += 1;
        run = if old == new { run + 1 } else { 0 };
        if run == MIN_COPY && at > run {
            return at - run;
        }
    }
    new.len()
}
