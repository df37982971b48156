//! The files that the worker was handed, in the order that `pintle_update::worker` says.

use std::fs::File;

use pintle_sys::inherited;
use pintle_transfer::Target;
use pintle_update::worker::{Job, Source, Task};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::fstat;

use crate::error::Error;

/// Bytes beyond a small image that a delta may have.
const SLACK: u64 = 1 << 20;

/// What was handed over.
pub(crate) struct Files {
    /// The directory or the archive that the release is in, where it is not in a registry.
    pub(crate) origin: Option<OwnedFd>,
    /// What is to be filled; nothing, for a check.
    pub(crate) target: Option<Target>,
    /// Images and trees to copy from.
    pub(crate) sources: Vec<(File, File)>,
}

impl Files {
    /// Takes them over.
    pub(crate) fn take(job: &Job) -> Result<Self, Error> {
        let origins = usize::from(!matches!(job.source, Source::Registry(_)));
        let (targets, sources) = match &job.task {
            Task::Check { .. } => (0, 0),
            Task::Fetch { sources, .. } => (3, sources.len()),
        };
        let descriptors = inherited::take(origins + targets + 2 * sources);
        let mut rest = descriptors.ok_or(Error::Files("they are not there"))?.into_iter();
        let origin = if origins > 0 { rest.next() } else { None };
        let mut rest = rest.map(File::from);
        let target = if targets > 0 { target(&mut rest) } else { None };
        let pair = || Some((rest.next()?, rest.next()?));
        Ok(Self { origin, target, sources: std::iter::from_fn(pair).collect() })
    }

    /// The directory that the release is in, where it is in one.
    pub(crate) fn directory(&self, source: &Source) -> Option<BorrowedFd<'_>> {
        match source {
            Source::Directory(_) => self.origin.as_ref().map(AsFd::as_fd),
            Source::Archive(_) | Source::Registry(_) => None,
        }
    }

    /// The largest size that a file of the target may have.
    pub(crate) fn largest(&self) -> Result<u64, Error> {
        let Some(target) = &self.target else { return Ok(0) };
        let size = |file: &File| fstat(file).map(|stat| u64::try_from(stat.st_size).unwrap_or(0));
        let sizes = [size(&target.image), size(&target.tree), size(&target.delta)];
        let largest = sizes.into_iter().try_fold(0, |largest, size| size.map(|it| it.max(largest)));
        Ok(largest.map_err(std::io::Error::from)?.saturating_add(SLACK))
    }
}

fn target(files: &mut impl Iterator<Item = File>) -> Option<Target> {
    Some(Target { image: files.next()?, tree: files.next()?, delta: files.next()? })
}
