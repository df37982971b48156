//! What a layer changes, kept in the spool: with a million entries and ten layers, only the merged
//! tree is in memory.

use std::io;

use serde::{Deserialize, Serialize};

use super::Fault;
use crate::spool::Spool;

/// How many bytes of records are collected before they are written.
const CHUNK: usize = 256 << 10;

/// Records in the spool, in the order in which they were written.
#[derive(Debug, Default)]
pub(super) struct Journal {
    chunks: Vec<Chunk>,
}

#[derive(Clone, Copy, Debug)]
struct Chunk {
    at: u64,
    length: usize,
}

impl Journal {
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Chunk by chunk; [`Records`] takes them apart.
    pub(super) fn chunks<'j>(
        &'j self,
        spool: &'j Spool,
    ) -> impl Iterator<Item = Result<Vec<u8>, Fault>> + 'j {
        self.chunks.iter().map(|chunk| {
            let mut bytes = vec![0; chunk.length];
            spool.read_at(&mut bytes, chunk.at).map_err(host("read the temporary file"))?;
            Ok(bytes)
        })
    }
}

/// Writes a [`Journal`].
#[derive(Debug)]
pub(super) struct Writer<'s> {
    spool: &'s Spool,
    journal: Journal,
    pending: Vec<u8>,
}

impl<'s> Writer<'s> {
    pub(super) fn new(spool: &'s Spool) -> Self {
        Self { spool, journal: Journal::default(), pending: Vec::new() }
    }

    /// Adds a record and says how many bytes it takes.
    pub(super) fn push(&mut self, record: &impl Serialize) -> Result<u64, Fault> {
        let before = self.pending.len();
        let pending = std::mem::take(&mut self.pending);
        self.pending = postcard::to_extend(record, pending).map_err(own)?;
        let length = self.pending.len() - before;
        if self.pending.len() >= CHUNK {
            self.flush()?;
        }
        Ok(length as u64)
    }

    pub(super) fn finish(mut self) -> Result<Journal, Fault> {
        self.flush()?;
        Ok(self.journal)
    }

    fn flush(&mut self) -> Result<(), Fault> {
        if !self.pending.is_empty() {
            let at = self.spool.append(&self.pending).map_err(host("write the temporary file"))?;
            self.journal.chunks.push(Chunk { at, length: self.pending.len() });
            self.pending.clear();
        }
        Ok(())
    }
}

/// The records of one chunk.
pub(super) fn records<'b, R: Deserialize<'b>>(
    mut bytes: &'b [u8],
) -> impl Iterator<Item = Result<R, Fault>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let taken = postcard::take_from_bytes(bytes);
        bytes = taken.as_ref().map_or(b"", |(_, rest)| rest);
        Some(taken.map(|(record, _)| record).map_err(own))
    })
}

pub(super) fn host(action: &'static str) -> impl Fn(io::Error) -> Fault {
    move |source| Fault::Host { action, source }
}

/// Our own bytes do not fail to be read, unless the disk changed them.
fn own(cause: postcard::Error) -> Fault {
    Fault::Host { action: "use the temporary file", source: io::Error::other(cause) }
}

#[cfg(test)]
mod tests {
    use super::super::record::Removal;
    use super::*;

    #[test]
    fn records_come_back_in_order_over_many_chunks() {
        let spool = Spool::within(&std::env::temp_dir()).unwrap();
        let mut writer = Writer::new(&spool);
        let name = vec![b'n'; 1000];
        for at in 0..1000 {
            writer.push(&Removal { at, directory: b"d", name: Some(&name) }).unwrap();
        }
        let journal = writer.finish().unwrap();
        assert!(journal.chunks.len() > 3);
        let mut next = 0;
        for chunk in journal.chunks(&spool) {
            for removal in records::<Removal<'_>>(&chunk.unwrap()) {
                let expected = Removal { at: next, directory: b"d", name: Some(&name) };
                assert_eq!(removal.unwrap(), expected);
                next += 1;
            }
        }
        assert_eq!(next, 1000);
    }
}
