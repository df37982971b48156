use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use super::{blob_name, other_size};
use crate::{Blob, Error};

/// A release has about ten blobs an architecture; containers and their layers are beside them.
const MAX_MEMBERS: usize = 10_000;

/// `blobs/sha256/` and 64 digits fit in; what is longer is none of ours.
const MAX_NAME: usize = 100;

/// A layout in a tar file: where each member's content is.
pub(super) struct Archive {
    file: File,
    members: BTreeMap<Vec<u8>, Span>,
}

#[derive(Clone, Copy)]
struct Span {
    at: u64,
    size: u64,
}

/// A part of a file that is read in order.
pub(super) struct Member<'a> {
    file: &'a File,
    span: Span,
}

impl Archive {
    /// Reads the headers. Extended ones are skipped: no name or size that counts here needs any, and what they claim would
    /// have to be read into memory.
    pub(super) fn read(file: File) -> Result<Self, Error> {
        let members = members(&file).map_err(Error::file("read", "archive"))?;
        Ok(Self { file, members: members? })
    }

    pub(super) fn open(&self, name: &str) -> io::Result<Member<'_>> {
        let span = self.members.get(name.as_bytes()).copied();
        let span = span.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        Ok(Member { file: &self.file, span })
    }

    /// A blob, read from `at` on.
    pub(super) fn open_blob(&self, blob: &Blob, at: u64) -> io::Result<Member<'_>> {
        let Member { file, span } = self.open(&blob_name(&blob.digest))?;
        if span.size != blob.size || at > span.size {
            return Err(other_size());
        }
        Ok(Member { file, span: Span { at: span.at.saturating_add(at), size: span.size - at } })
    }
}

impl Read for Member<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.span.size.min(buffer.len() as u64) as usize;
        let count = self.file.read_at(buffer.get_mut(..most).unwrap_or_default(), self.span.at)?;
        self.span.at += count as u64;
        self.span.size -= count as u64;
        Ok(count)
    }
}

fn members(file: &File) -> io::Result<Result<BTreeMap<Vec<u8>, Span>, Error>> {
    let mut members = BTreeMap::new();
    let mut archive = tar::Archive::new(file);
    for (number, entry) in archive.entries_with_seek()?.raw(true).enumerate() {
        let entry = entry?;
        if number >= MAX_MEMBERS {
            return Ok(Err(Error::Layout("its archive has too many members".to_owned())));
        }
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = name(&entry);
        let span = Span { at: entry.raw_file_position(), size: entry.header().entry_size()? };
        if name.len() <= MAX_NAME && members.insert(name.clone(), span).is_some() {
            let name = String::from_utf8_lossy(&name).into_owned();
            return Ok(Err(Error::Layout(format!("its archive has {name} twice"))));
        }
    }
    Ok(Ok(members))
}

/// `tar -C DIR .` writes `./` before each name.
fn name(entry: &tar::Entry<'_, &File>) -> Vec<u8> {
    let name = entry.path_bytes();
    name.strip_prefix(b"./").unwrap_or(&name).to_vec()
}
