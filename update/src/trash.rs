use std::ffi::CStr;

use rustix::fd::OwnedFd;
use rustix::fs::{self, AtFlags, Dir, FileType, IFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::hands::{Hands, failed};
use crate::{Error, Place, Step};

/// How far emptying the trash has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Emptied {
    /// Nothing is left.
    Whole,
    /// Something was removed, and there may be more.
    InPart,
}

/// Removes about `budget` names from the trash, however deep, marked immutable or not.
///
/// Without recursion: a directory in a directory is moved up into the trash. On a full disk that
/// may fail, but the files that are removed meanwhile make room for the next pass. What cannot be
/// removed is left; once nothing else is there, that is the error.
pub(crate) fn empty(hands: &Hands, budget: usize) -> Result<Emptied, Error> {
    // Or a cut could show an entry under its old name with half of its files.
    hands.carry_out(&[Step::SyncDir(Place::trash())])?;
    let trash = hands.open_dir(&Place::trash())?;
    let mut sweeper = Sweeper { trash, budget, removed: 0, spare_names: 0, failure: None };
    sweeper.sweep().map_err(|cause| failed("empty", &Place::trash(), cause))
}

struct Sweeper {
    trash: OwnedFd,
    budget: usize,
    /// How much of the budget is spent.
    removed: usize,
    /// How many names for directories that are moved up were tried.
    spare_names: u64,
    /// The first of this pass.
    failure: Option<Errno>,
}

impl Sweeper {
    fn sweep(&mut self) -> Result<Emptied, Errno> {
        while self.removed < self.budget {
            let before = self.removed;
            self.failure = None;
            let trash = open_directory(&self.trash, c".")?;
            self.each_name(&trash, Self::remove)?;
            if self.removed == before {
                return self.failure.map_or(Ok(Emptied::Whole), Err);
            }
        }
        Ok(Emptied::InPart)
    }

    /// Does something to each name, within the budget; an error is noted and is not the end.
    fn each_name(
        &mut self,
        directory: &OwnedFd,
        act: fn(&mut Self, &OwnedFd, &CStr) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if self.removed >= self.budget {
                break;
            }
            if name != c"." && name != c".." {
                let result = act(self, directory, name);
                self.note(result);
            }
        }
        Ok(())
    }

    fn note(&mut self, result: Result<(), Errno>) {
        match result {
            Ok(()) => self.removed += 1,
            Err(cause) => {
                self.failure.get_or_insert(cause);
            }
        }
    }

    /// Removes something in the trash itself.
    fn remove(&mut self, trash: &OwnedFd, name: &CStr) -> Result<(), Errno> {
        match insist(trash, name, || fs::unlinkat(trash, name, AtFlags::empty())) {
            Err(Errno::ISDIR) => self.remove_directory(trash, name),
            result => result,
        }
    }

    fn remove_directory(&mut self, trash: &OwnedFd, name: &CStr) -> Result<(), Errno> {
        let directory = open_directory(trash, name)?;
        self.each_name(&directory, Self::remove_or_lift)?;
        insist(trash, name, || fs::unlinkat(trash, name, AtFlags::REMOVEDIR))
    }

    /// Removes something one level down, or moves it up if it is a directory with something in it.
    fn remove_or_lift(&mut self, parent: &OwnedFd, name: &CStr) -> Result<(), Errno> {
        let removed = insist(parent, name, || fs::unlinkat(parent, name, AtFlags::empty()));
        if removed != Err(Errno::ISDIR) {
            return removed;
        }
        match insist(parent, name, || fs::unlinkat(parent, name, AtFlags::REMOVEDIR)) {
            Err(Errno::NOTEMPTY) => self.lift(parent, name),
            result => result,
        }
    }

    fn lift(&mut self, parent: &OwnedFd, name: &CStr) -> Result<(), Errno> {
        loop {
            let spare = format!("~{}", self.spare_names);
            self.spare_names += 1;
            let (to, how) = (&self.trash, RenameFlags::NOREPLACE);
            match insist(parent, name, || fs::renameat_with(parent, name, to, &spare, how)) {
                Err(Errno::EXIST) => {}
                result => return result,
            }
        }
    }
}

/// Does something to a name; if that is not permitted, once more without the flags that could be
/// the reason, its own and its directory's.
fn insist(parent: &OwnedFd, name: &CStr, act: impl Fn() -> Result<(), Errno>) -> Result<(), Errno> {
    match act() {
        Err(Errno::PERM) => {
            make_mutable(parent)?;
            make_mutable(&open_inert(parent, name)?)?;
            act()
        }
        result => result,
    }
}

fn make_mutable(file: &OwnedFd) -> Result<(), Errno> {
    let flags = fs::ioctl_getflags(file)?;
    fs::ioctl_setflags(file, flags.difference(IFlags::IMMUTABLE.union(IFlags::APPEND)))
}

/// Opens what has flags, a file or a directory; opening a device would do something.
fn open_inert(parent: &OwnedFd, name: &CStr) -> Result<OwnedFd, Errno> {
    let stat = fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile | FileType::Directory => open(parent, name, OFlags::NONBLOCK),
        _ => Err(Errno::PERM),
    }
}

fn open_directory(parent: &OwnedFd, name: &CStr) -> Result<OwnedFd, Errno> {
    open(parent, name, OFlags::DIRECTORY)
}

fn open(parent: &OwnedFd, name: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::openat(parent, name, flags, Mode::empty())
}
