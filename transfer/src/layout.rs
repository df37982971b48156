//! A release in an OCI layout, in a directory or a tar file: updates without a network.
//!
//! Source: the OCI image-spec's `image-layout.md`. Nothing is unpacked; names on disk are made of digests alone.

mod archive;
mod directory;
#[cfg(feature = "make")]
mod write;

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::fd::OwnedFd;

use pintle_verify::Digest;
use serde_json::Value;

use crate::document::{self, MAX_INDEX};
use crate::{Blob, Blobs, Error};

use archive::Archive;
use directory::Directory;
#[cfg(feature = "make")]
pub use write::LayoutWriter;

/// The annotation of a descriptor in `index.json` that holds its tag.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// An OCI layout, opened once.
pub struct Layout(Store);

enum Store {
    Directory(Directory),
    Archive(Archive),
}

impl Layout {
    /// A layout in a directory. Its files are opened beneath the descriptor, and through no link.
    pub fn open_directory(directory: OwnedFd) -> Result<Self, Error> {
        Self::of(Store::Directory(Directory(directory)))
    }

    /// A layout in a tar file, which is neither compressed nor unpacked: it is read through once, for where its members are.
    pub fn open_archive(file: File) -> Result<Self, Error> {
        Self::of(Store::Archive(Archive::read(file)?))
    }

    fn of(store: Store) -> Result<Self, Error> {
        let layout = Self(store);
        let marker = document::parse_json(&layout.small_file("oci-layout", MAX_MARKER)?);
        match marker.map_err(Error::Layout)?.get("imageLayoutVersion") {
            Some(Value::String(version)) if version.starts_with("1.") => Ok(layout),
            _ => Err(Error::Layout("oci-layout names no version 1".to_owned())),
        }
    }

    /// The image index of `tag`, or of the one that there is if there is only one.
    pub fn index(&self, tag: Option<&str>) -> Result<Blob, Error> {
        let bytes = self.small_file("index.json", MAX_INDEX as u64)?;
        document::find_tag(&bytes, tag, REF_NAME)
    }

    /// A whole blob of at most `limit` bytes, which has the digest that is asked for.
    pub fn document(&self, blob: &Blob, limit: usize) -> Result<Vec<u8>, Error> {
        if blob.size > limit as u64 {
            return Err(Error::Layout(format!("{} has {} bytes", blob.digest, blob.size)));
        }
        let mut bytes = Vec::new();
        let read = self.open(blob, 0..blob.size).and_then(|mut file| file.read_to_end(&mut bytes));
        read.map_err(Error::fetch("document"))?;
        match Digest::of(&bytes) == blob.digest {
            true => Ok(bytes),
            false => Err(Error::Damaged { object: "document", offset: 0 }),
        }
    }

    fn open(&self, blob: &Blob, range: Range<u64>) -> io::Result<Box<dyn Read + '_>> {
        let length = range.end.saturating_sub(range.start);
        let reader: Box<dyn Read + '_> = match &self.0 {
            Store::Directory(directory) => Box::new(directory.open_blob(blob, range.start)?),
            Store::Archive(archive) => Box::new(archive.open_blob(blob, range.start)?),
        };
        Ok(Box::new(reader.take(length)))
    }

    fn small_file(&self, name: &'static str, limit: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let read = match &self.0 {
            Store::Directory(directory) => {
                directory.open(name).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
            }
            Store::Archive(archive) => {
                archive.open(name).and_then(|member| member.take(limit + 1).read_to_end(&mut bytes))
            }
        };
        read.map_err(Error::file("read", name))?;
        if bytes.len() as u64 > limit {
            return Err(Error::Layout(format!("{name} is longer than {limit} bytes")));
        }
        Ok(bytes)
    }
}

impl Blobs for Layout {
    fn read(&mut self, blob: &Blob, range: Range<u64>) -> io::Result<Box<dyn Read + '_>> {
        self.open(blob, range)
    }
}

/// `{"imageLayoutVersion":"1.0.0"}`, and room for what somebody adds.
const MAX_MARKER: u64 = 4096;

/// A blob's name in a layout.
fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn other_size() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it has another size than its descriptor says")
}
