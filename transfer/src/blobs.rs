use std::io::{self, Read};
use std::ops::Range;

use pintle_verify::Digest;

/// A blob as a manifest names it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Blob {
    /// The SHA-256 of its bytes.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
}

/// Where the blobs of a release come from: a registry, a directory, an archive.
pub trait Blobs {
    /// Reads a part of a blob. The reader ends after `range`, or with an error; it may give fewer bytes only with an
    /// error. Nothing about the bytes is checked.
    ///
    /// An error of the kind `NotFound` says that there is no such blob, and that trying again is in vain.
    fn read(&mut self, blob: &Blob, range: Range<u64>) -> io::Result<Box<dyn Read + '_>>;
}
