use std::cell::Cell;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{self, AtFlags, Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::io::Errno;

use crate::{Error, Place, Refused, Step, keep};

/// Nothing in the store is ever reached through a link or out of the store.
const BENEATH: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// A machine keeps a few entries; each may be in the trash a few times.
const MAX_TRASH_NAMES: u32 = 10_000;

/// Carries steps out on an open store.
pub(crate) struct Hands {
    root: OwnedFd,
    /// Set by the first sync that failed.
    abandoned: Cell<bool>,
}

impl Hands {
    pub(crate) fn open(root: BorrowedFd<'_>) -> Result<Self, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = fs::openat(root, ".", flags, Mode::empty())
            .map_err(|cause| failed("open", &Place::root(), cause))?;
        Ok(Self { root, abandoned: Cell::new(false) })
    }

    /// Opens something in the store, whatever it is, without waiting for it.
    pub(crate) fn open_at(&self, place: &Place, flags: OFlags) -> Result<OwnedFd, Error> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        fs::openat2(&self.root, place.as_str(), flags, Mode::empty(), BENEATH)
            .map_err(|cause| failed("open", place, cause))
    }

    pub(crate) fn open_dir(&self, place: &Place) -> Result<OwnedFd, Error> {
        self.open_at(place, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    /// Carries `steps` out in order, up to the first that fails.
    pub(crate) fn carry_out(&self, steps: &[Step]) -> Result<(), Error> {
        steps.iter().try_for_each(|step| self.do_one(step))
    }

    fn do_one(&self, step: &Step) -> Result<(), Error> {
        if self.abandoned.get() {
            return Err(Error::Abandoned);
        }
        match step {
            Step::MakeDir(place) => self.make_dir(place),
            Step::Touch(place) => self.touch(place),
            Step::Move { from, to } => self.rename(from, to, RenameFlags::NOREPLACE),
            Step::Replace { from, to } => self.rename(from, to, RenameFlags::empty()),
            Step::Exchange(one, other) => self.rename(one, other, RenameFlags::EXCHANGE),
            Step::Keep(path) => keep::keep(self, path),
            Step::Discard(place) => self.discard(place),
            Step::Unlink(place) => self.unlink(place),
            Step::SyncDir(place) => self.sync(place, &self.open_dir(place)?),
            Step::SyncAll => {
                fs::syncfs(&self.root).map_err(|cause| self.abandon(&Place::root(), cause))
            }
        }
    }

    fn make_dir(&self, place: &Place) -> Result<(), Error> {
        let parent = self.open_parent(place)?;
        match fs::mkdirat(parent, place.leaf(), Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(cause) => Err(failed("make directory", place, cause)),
        }
    }

    fn touch(&self, place: &Place) -> Result<(), Error> {
        let file = self.make_file(place, OFlags::WRONLY)?;
        self.sync(place, &file)
    }

    /// Makes a file that was not there.
    pub(crate) fn create(&self, place: &Place) -> Result<OwnedFd, Error> {
        self.make_file(place, OFlags::RDWR | OFlags::EXCL)
    }

    fn make_file(&self, place: &Place, flags: OFlags) -> Result<OwnedFd, Error> {
        let parent = self.open_parent(place)?;
        let flags = flags | OFlags::CREATE | OFlags::CLOEXEC;
        fs::openat2(parent, place.leaf(), flags, Mode::from_raw_mode(0o644), BENEATH)
            .map_err(|cause| failed("make", place, cause))
    }

    fn rename(&self, from: &Place, to: &Place, how: RenameFlags) -> Result<(), Error> {
        self.rename_as(from, to, how).map_err(|cause| failed("rename", from, cause))
    }

    fn discard(&self, place: &Place) -> Result<(), Error> {
        for number in 0..MAX_TRASH_NAMES {
            let to = Place::trash().child(&format!("{}~{number}", place.leaf()));
            match self.rename_as(place, &to, RenameFlags::NOREPLACE) {
                Err(Errno::EXIST) => {}
                result => return result.map_err(|cause| failed("discard", place, cause)),
            }
        }
        Err(failed("discard", place, Errno::EXIST))
    }

    /// Both parents are opened first, so that nothing on the way can be a link.
    fn rename_as(&self, from: &Place, to: &Place, how: RenameFlags) -> Result<(), Errno> {
        let old = self.parent_of(from)?;
        let new = self.parent_of(to)?;
        fs::renameat_with(old, from.leaf(), new, to.leaf(), how)
    }

    fn unlink(&self, place: &Place) -> Result<(), Error> {
        let parent = self.open_parent(place)?;
        fs::unlinkat(parent, place.leaf(), AtFlags::empty())
            .map_err(|cause| failed("remove", place, cause))
    }

    fn sync(&self, place: &Place, what: &OwnedFd) -> Result<(), Error> {
        fs::fsync(what).map_err(|cause| self.abandon(place, cause))
    }

    /// Makes a file's bytes durable, and what it takes to find them, but not its times.
    pub(crate) fn sync_data(&self, place: &Place, file: &OwnedFd) -> Result<(), Error> {
        fs::fdatasync(file).map_err(|cause| self.abandon(place, cause))
    }

    /// A failed sync is the end of writing: the kernel has dropped what it could not save, and a
    /// second call would succeed without it.
    fn abandon(&self, place: &Place, cause: Errno) -> Error {
        self.abandoned.set(true);
        failed("sync", place, cause)
    }

    /// Keeps others out of what is done in a directory, for as long as the descriptor is open.
    pub(crate) fn lock(&self, place: &Place) -> Result<OwnedFd, Error> {
        let directory = self.open_dir(place)?;
        match fs::flock(&directory, fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(directory),
            Err(Errno::WOULDBLOCK) => Err(Refused::Busy.into()),
            Err(cause) => Err(failed("lock", place, cause)),
        }
    }

    /// Bytes that may still be written, and the size of a block.
    pub(crate) fn free_space(&self) -> Result<(u64, u64), Error> {
        let stat = fs::fstatvfs(&self.root)
            .map_err(|cause| failed("look at the space of", &Place::root(), cause))?;
        Ok((stat.f_bavail.saturating_mul(stat.f_frsize), stat.f_frsize))
    }

    fn open_parent(&self, place: &Place) -> Result<OwnedFd, Error> {
        self.parent_of(place).map_err(|cause| failed("open the directory of", place, cause))
    }

    fn parent_of(&self, place: &Place) -> Result<OwnedFd, Errno> {
        let parent = place.parent().unwrap_or_else(Place::root);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        fs::openat2(&self.root, parent.as_str(), flags, Mode::empty(), BENEATH)
    }
}

pub(crate) fn failed(verb: &'static str, place: &Place, cause: Errno) -> Error {
    Error::Store { verb, object: place.to_string(), cause }
}
