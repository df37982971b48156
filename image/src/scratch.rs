//! Names that must not outlive the work that needs them, nor a run that is interrupted.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{io, process, thread};

use nix::sys::signal::{SigSet, Signal, raise};

use crate::error::{Attempt, Result};

/// The names that stand now, in the order in which they came.
static STANDING: Mutex<Vec<Scratch>> = Mutex::new(Vec::new());

#[derive(Clone, PartialEq, Eq, Debug)]
enum Scratch {
    File(PathBuf),
    /// Only if nothing is in it.
    Directory(PathBuf),
    Tree(PathBuf),
}

/// A name that is removed with the value, and when the process is told to end.
#[derive(Debug)]
pub struct Guard(Scratch);

impl Guard {
    /// Of a file; one that has been renamed in the meantime stays.
    pub fn file(path: &Path) -> Self {
        Self::of(Scratch::File(path.into()))
    }

    /// Of a directory, which stays if something is in it by then.
    pub fn directory(path: &Path) -> Self {
        Self::of(Scratch::Directory(path.into()))
    }

    /// Of a directory with all that is in it.
    pub fn tree(path: &Path) -> Self {
        Self::of(Scratch::Tree(path.into()))
    }

    fn of(scratch: Scratch) -> Self {
        standing().push(scratch.clone());
        Self(scratch)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // A removal that fails leaves what a removal cannot help.
        self.0.remove().ok();
        standing().retain(|scratch| *scratch != self.0);
    }
}

/// Guards of names in each other: the latest is removed first.
#[derive(Debug, Default)]
pub struct Guards(Vec<Guard>);

impl Guards {
    /// Adds the latest.
    pub fn push(&mut self, guard: Guard) {
        self.0.push(guard);
    }
}

impl Drop for Guards {
    fn drop(&mut self) {
        while self.0.pop().is_some() {}
    }
}

impl Scratch {
    fn remove(&self) -> io::Result<()> {
        match self {
            Self::File(path) => fs::remove_file(path),
            Self::Directory(path) => fs::remove_dir(path),
            Self::Tree(path) => fs::remove_dir_all(path),
        }
    }
}

/// From now on SIGINT and SIGTERM remove all scratch before they end the process. To be called
/// before there is a second thread, because those inherit that the signals wait.
pub fn remove_when_interrupted() -> Result<()> {
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    let blocked = signals.thread_block().map_err(io::Error::from);
    blocked.attempt(|| "wait for signals".to_owned())?;
    let waiter = thread::Builder::new().spawn(move || wait(signals));
    waiter.map(drop).attempt(|| "wait for signals".to_owned())
}

fn wait(signals: SigSet) {
    let Ok(signal) = signals.wait() else { return };
    // Held to the end, so that nobody goes on.
    let standing = standing();
    // What came later may be in what came before.
    standing.iter().rev().for_each(|scratch| drop(scratch.remove()));
    // Whoever waits for us sees by which signal we ended, unless it was ignored when we began.
    signals.thread_unblock().and_then(|()| raise(signal)).ok();
    process::exit(128 + signal as i32)
}

fn standing() -> MutexGuard<'static, Vec<Scratch>> {
    STANDING.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_scratch_goes_and_what_was_put_beside_it_stays() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        for name in ["empty", "full", "outer/inner", "tree/below"] {
            fs::create_dir_all(path(name)).unwrap();
        }
        fs::write(path("full/file"), "").unwrap();
        fs::write(path("file"), "").unwrap();
        let mut guards = Guards::default();
        for directory in ["empty", "full", "outer", "outer/inner"] {
            guards.push(Guard::directory(&path(directory)));
        }
        guards.push(Guard::tree(&path("tree")));
        guards.push(Guard::file(&path("file")));
        drop(guards);
        let names = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(names.eq(["full"]));
    }
}
