use std::io::{self, Read};
use std::ops::Range;

use super::{Phase, Progress};
use crate::plan::Cost;
use crate::{Blob, Blobs, Error};

/// Where bytes come from, and the count of them.
pub(crate) struct Feed<'a> {
    blobs: &'a mut dyn Blobs,
    report: &'a mut dyn FnMut(&Progress),
    progress: Progress,
    requests: u64,
}

/// A range of a blob.
pub(crate) struct Stream<'f> {
    object: &'static str,
    reader: Box<dyn Read + 'f>,
    progress: &'f mut Progress,
    report: &'f mut dyn FnMut(&Progress),
}

impl<'a> Feed<'a> {
    pub(crate) fn new(
        blobs: &'a mut dyn Blobs,
        report: &'a mut dyn FnMut(&Progress),
        blocks: u64,
    ) -> Self {
        let progress = Progress { phase: Phase::Tree, received: 0, blocks_done: 0, blocks };
        Self { blobs, report, progress, requests: 0 }
    }

    /// Asks for a range of a blob, which `object` names to people.
    pub(crate) fn open(
        &mut self,
        object: &'static str,
        blob: &Blob,
        range: Range<u64>,
    ) -> Result<Stream<'_>, Error> {
        self.requests += 1;
        let reader = self.blobs.read(blob, range).map_err(Error::fetch(object))?;
        Ok(Stream { object, reader, progress: &mut self.progress, report: self.report })
    }

    /// Says how far it has come.
    pub(super) fn report(&mut self, phase: Phase, blocks_done: u64) {
        self.progress = Progress { phase, blocks_done, ..self.progress };
        (self.report)(&self.progress);
    }

    pub(super) fn fetched(&self) -> Cost {
        Cost { bytes: self.progress.received, requests: self.requests }
    }
}

impl Stream<'_> {
    /// Fills the whole buffer, or fails.
    pub(crate) fn fill(&mut self, mut buffer: &mut [u8]) -> Result<(), Error> {
        while !buffer.is_empty() {
            let count = self.read(buffer)?;
            buffer = buffer.get_mut(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// Reads at least a byte into a buffer that has room for one, and says how many.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        loop {
            match self.reader.read(buffer) {
                Ok(0) => {
                    return Err(Error::fetch(self.object)(io::ErrorKind::UnexpectedEof.into()));
                }
                Ok(count) => {
                    self.progress.received += count as u64;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::fetch(self.object)(error)),
            }
        }
    }

    /// Says how far it has come.
    pub(super) fn report(&mut self, phase: Phase, blocks_done: u64) {
        *self.progress = Progress { phase, blocks_done, ..*self.progress };
        (self.report)(self.progress);
    }
}
