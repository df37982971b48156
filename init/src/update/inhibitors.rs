//! Who wants the machine not to reboot into an update now: a file each in `/run`, locked as long as its maker lives, so that one
//! that died inhibits nothing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, retry_on_intr};

const DIRECTORY: &str = "/run/pintle/inhibit";

/// Of one file: who, a tab, and why.
const TEXT_MAX: u64 = 1024;

/// More than these are not listed; one is enough.
const LISTED_MAX: usize = 32;

/// An inhibition, as long as it is held.
#[derive(Debug)]
pub(crate) struct Held(#[expect(dead_code, reason = "the lock goes with it")] File);

/// Inhibits reboots until the value is dropped or the process ends.
pub(crate) fn inhibit(who: &str, why: &str) -> io::Result<Held> {
    inhibit_in(Path::new(DIRECTORY), who, why)
}

/// Who inhibits now, and why.
pub(crate) fn list() -> Vec<(String, String)> {
    list_in(Path::new(DIRECTORY))
}

fn inhibit_in(directory: &Path, who: &str, why: &str) -> io::Result<Held> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let path = directory.join(rustix::process::getpid().as_raw_nonzero().to_string());
    let mut file = loop {
        let file = locked(&path)?;
        if is_at(&file, &path)? {
            break file;
        }
    };
    let line = |text: &str| text.replace(['\t', '\n'], " ");
    file.write_all(format!("{}\t{}", line(who), line(why)).as_bytes())?;
    Ok(Held(file))
}

fn locked(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    retry_on_intr(|| flock(&file, FlockOperation::LockExclusive))?;
    Ok(file)
}

/// Whoever lists may have taken it for one that nobody holds, before it was locked.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let of_file = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (of_file.dev(), of_file.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn list_in(directory: &Path) -> Vec<(String, String)> {
    let Ok(names) = fs::read_dir(directory) else { return Vec::new() };
    names.flatten().filter_map(|entry| holder(&entry.path())).take(LISTED_MAX).collect()
}

/// Who holds the lock of a file; a file that nobody holds is removed.
fn holder(path: &Path) -> Option<(String, String)> {
    let file = File::open(path).ok()?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive) != Err(Errno::WOULDBLOCK) {
        if is_at(&file, path).is_ok_and(|is_at| is_at) {
            fs::remove_file(path).unwrap_or_default();
        }
        return None;
    }
    let mut text = String::new();
    file.take(TEXT_MAX).read_to_string(&mut text).ok()?;
    let (who, why) = text.split_once('\t').unwrap_or((&text, ""));
    Some((who.to_owned(), why.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;

    #[test]
    fn who_lets_go_inhibits_nothing() {
        let directory = std::env::temp_dir().join(format!("pintle-inhibit-{}", std::process::id()));
        let held = inhibit_in(&directory, "backup", "the database\tis saved").unwrap();
        let expected = ("backup".to_owned(), "the database is saved".to_owned());
        assert_eq!(list_in(&directory), [expected]);
        drop(held);
        assert_eq!(list_in(&directory), []);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
        fs::remove_dir(&directory).unwrap();
    }

    #[test]
    fn what_is_held_is_listed_whoever_lists_meanwhile() {
        let directory = std::env::temp_dir().join(format!("pintle-race-{}", std::process::id()));
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    list_in(&directory);
                }
            });
            let missed = (0..2000).filter(|_| {
                let _held = inhibit_in(&directory, "backup", "").unwrap();
                list_in(&directory).is_empty()
            });
            let missed = missed.count();
            stop.store(true, Relaxed);
            assert_eq!(missed, 0);
        });
        fs::remove_dir_all(directory).unwrap();
    }
}
