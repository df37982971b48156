//! A release in a directory or a tar file.

use std::fs::File;

use pintle_transfer::Error;
use pintle_transfer::document::Index;
use pintle_transfer::layout::Layout;
use pintle_update::worker::Source;
use rustix::fd::OwnedFd;

/// Opens the layout that a job names.
pub(crate) fn open(source: &Source, file: OwnedFd) -> Result<Layout, Error> {
    match source {
        Source::Archive(_) => Layout::open_archive(File::from(file)),
        Source::Directory(_) | Source::Registry(_) => Layout::open_directory(file),
    }
}

/// What a tag's index has at most.
const INDEX_MAX: usize = 4 << 20;

/// The index of the tag that a job names.
pub(crate) fn index(layout: &Layout, source: &Source) -> Result<Index, Error> {
    let tag = match source {
        Source::Archive(tag) | Source::Directory(tag) => tag.as_deref(),
        Source::Registry(_) => None,
    };
    Index::parse(&layout.document(&layout.index(tag)?, INDEX_MAX)?)
}
