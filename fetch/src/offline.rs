//! A release in a directory or a tar file.

use std::fs::File;

use pintle_transfer::Error;
use pintle_transfer::layout::Layout;
use pintle_update::worker::Source;
use rustix::fd::OwnedFd;

/// Opens the layout that a job names.
pub(crate) fn open(source: &Source, file: OwnedFd) -> Result<Layout, Error> {
    match source {
        Source::Archive => Layout::open_archive(File::from(file)),
        Source::Directory | Source::Registry(_) => Layout::open_directory(file),
    }
}
