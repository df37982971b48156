//! The child that works on the store for PID 1, and for `pintlectl install`: it may block, and it may die.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use pintle_config::Boot;
use pintle_update::{BadSeal, Emptied, EntryFiles, EntryName, EntryState, Store, Tries, select};
use pintle_verify::{Architecture, Expect, KeySet, Refusal, Seal, Unverified, Verified};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{self as rfs, Mode, OFlags};

use crate::clock;
use crate::handover::{self, Handover};
use crate::jobs::Task;
use crate::last_report;
use crate::report::{Event, Report};
use crate::update::chances;

/// Where stage 1 mounts the state file system; it moves along with `/run`.
pub(crate) const STATE: &str = "/run/pintle/state";

/// Where stage 1 leaves the keys that it trusts, for what is installed later.
pub(crate) const KEYS: &str = "/run/pintle/keys.bin";

/// When the running entry was blessed, in milliseconds since boot, if that was in this boot.
const BLESSED: &str = "/run/pintle/blessed";

/// Half of what a task may take, for one that can stop at any time.
const TIDYING: Duration = Duration::from_secs(5);

/// Names removed before the clock is looked at.
const TRASH_AT_A_TIME: usize = 100;

/// Why the store is as it was.
#[derive(Debug)]
pub(crate) enum Error {
    /// The command line names no task or no entry.
    Usage,
    /// A file that does not open or is not what it should be.
    File { path: String, cause: io::Error },
    /// The keys are none.
    Keys(pintle_verify::Error),
    /// What stage 1 left is not readable.
    Handover(handover::Error),
    /// The configuration in it is not either.
    Config(pintle_config::Error),
    /// There is no such entry any more.
    Gone(String),
    /// The seal is not believed.
    Refused(Refusal),
    /// The store's own.
    Store(pintle_update::Error),
}

/// Does the task that the command line names.
pub(crate) fn work(arguments: &[String]) -> Result<(), Error> {
    let [task] = arguments else { return Err(Error::Usage) };
    let task = Task::from_word(task).ok_or(Error::Usage)?;
    let machine = Machine::here()?;
    match task {
        Task::Keep => last_report::keep().map_err(|cause| file(last_report::PATH, cause)),
        Task::Bless => machine.bless().map(drop),
        Task::Tidy => machine.tidy(),
        Task::Demote => Ok(machine.store.demote(&machine.running()?).map(drop)?),
        Task::Settle => Ok(machine.store.mark_settled().map(drop)?),
        Task::Clean => Ok(machine.store.mark_clean().map(drop)?),
        Task::Unreached => Ok(machine.store.note_unreached(&machine.running()?)?),
    }
}

/// The store of the running machine, and what it believes.
pub(crate) struct Machine {
    pub(crate) store: Store,
    pub(crate) boot: Boot,
    booted: EntryName,
    /// The names of the entries that this boot passed over.
    refused: Vec<String>,
    keys: KeySet,
}

impl Machine {
    /// The machine that this runs on.
    pub(crate) fn here() -> Result<Self, Error> {
        let handover = Handover::read()?;
        let boot = Boot::from_bytes(&handover.boot)?;
        let keys = fs::read(KEYS).map_err(|cause| file(KEYS, cause))?;
        Ok(Self {
            store: open(&boot)?,
            keys: KeySet::from_bytes(&keys)?,
            booted: handover.entry.parse()?,
            refused: handover.refused.into_iter().map(|refused| refused.entry).collect(),
            boot,
        })
    }

    /// The keys that the machine trusts, as their file has them.
    pub(crate) fn key_file(&self) -> Result<Vec<u8>, Error> {
        fs::read(KEYS).map_err(|cause| file(KEYS, cause))
    }

    /// Believes a seal for this machine, or says why not.
    pub(crate) fn verify(&self, seal: &[u8]) -> Result<Verified<Seal>, Error> {
        let expect = Expect {
            image_id: Some(self.boot.image_id.as_str().parse()?),
            architecture: Some(Architecture::running()),
            floor: self.store.floor()?,
        };
        self.keys.verify(Unverified(seal), &expect).map_err(Error::Refused)
    }

    /// The running entry by the name that it has now: it may have been blessed since it was booted.
    pub(crate) fn running(&self) -> Result<EntryName, Error> {
        let order = select(&self.store.entries()?.entries, 0);
        let found = order.into_iter().find(|entry| self.runs(entry));
        found.ok_or_else(|| Error::Gone(self.booted.to_string()))
    }

    /// Whether `entry` is the running one, whatever its counters say.
    pub(crate) fn runs(&self, entry: &EntryName) -> bool {
        entry.is_same_entry(&self.booted)
    }

    /// Whether the running entry has not been blessed.
    pub(crate) fn is_on_trial(&self) -> Result<bool, Error> {
        Ok(self.running()?.state() != EntryState::Good)
    }

    /// The entry that boots next, if it is newer than the running one and this boot has not passed it over.
    pub(crate) fn staged(&self) -> Result<Option<EntryName>, Error> {
        let order = select(&self.store.entries()?.entries, self.store.floor()?);
        Ok(first_worth_a_reboot(order, self.running()?.sequence(), &self.refused))
    }

    /// The registry is reached from here: entries that were left for not reaching it are to blame themselves.
    pub(crate) fn condemn_unreached(&self) -> Result<Vec<EntryName>, Error> {
        self.each_unreached(|machine, entry| {
            machine.remember(entry)?;
            Report::open().event(&Event::BadRemembered { entry: &entry.to_string() });
            Ok(())
        })
    }

    /// It is not reached from here either: they are tried again.
    pub(crate) fn acquit_unreached(&self) -> Result<Vec<EntryName>, Error> {
        self.each_unreached(|machine, entry| {
            chances::count().map_err(|cause| file("chances", cause))?;
            Ok(machine.store.retry(entry).map(drop)?)
        })
    }

    fn each_unreached(
        &self,
        judge: impl Fn(&Self, &EntryName) -> Result<(), Error>,
    ) -> Result<Vec<EntryName>, Error> {
        let (entries, unreached) = (self.store.entries()?.entries, self.store.trust()?.unreached);
        let mut judged = Vec::new();
        for entry in entries.into_iter().filter(|entry| unreached.contains(&entry.sequence())) {
            if matches!(entry.state(), EntryState::Bad { .. }) && !self.runs(&entry) {
                judge(self, &entry)?;
                self.store.forget_unreached(&entry)?;
                judged.push(entry);
            }
        }
        Ok(judged)
    }

    /// Remembers the seals of the entries that turned out bad, now that another one is healthy. What no seal vouches
    /// for turned out to be somebody else's, or damaged, and says nothing about a release.
    /// Whether one that did not reach its registry is to blame, the updater finds out.
    fn remember_bad(&self) -> Result<(), Error> {
        let (entries, trust) = (self.store.entries()?.entries, self.store.trust()?);
        let bad = |entry: &EntryName| {
            let unreached = trust.unreached.contains(&entry.sequence());
            matches!(entry.state(), EntryState::Bad { .. }) && !unreached && !self.runs(entry)
        };
        self.remember_all(&entries.into_iter().filter(bad).collect::<Vec<_>>())
    }

    /// The same for those of `entries` that are bad or rejected: before they are removed, or the next check would find
    /// them new.
    pub(crate) fn remember_what_failed(&self, entries: &[EntryName]) -> Result<(), Error> {
        let failed = |entry: &&EntryName| {
            matches!(entry.state(), EntryState::Bad { .. } | EntryState::Rejected)
        };
        self.remember_all(&entries.iter().filter(failed).cloned().collect::<Vec<_>>())
    }

    fn remember_all(&self, entries: &[EntryName]) -> Result<(), Error> {
        for entry in entries {
            if let Some(bad) = self.seal_to_remember(entry)? {
                self.store.remember_bad(bad)?;
                let entry = entry.to_string();
                Report::open().event(&Event::BadRemembered { entry: &entry });
            }
        }
        Ok(())
    }

    /// Remembers an entry's seal, so that it is not installed again by itself.
    pub(crate) fn remember(&self, entry: &EntryName) -> Result<(), Error> {
        match self.seal_to_remember(entry)? {
            Some(bad) => Ok(self.store.remember_bad(bad)?),
            None => Ok(()),
        }
    }

    /// What is to be remembered of an entry, if its seal vouches for it and is not remembered yet.
    fn seal_to_remember(&self, entry: &EntryName) -> Result<Option<BadSeal>, Error> {
        let Ok(EntryFiles { seal, .. }) = self.store.open_entry(entry) else { return Ok(None) };
        let Ok(seal) = self.verify(&seal) else { return Ok(None) };
        let new = entry.agrees_with(&seal) && !self.store.is_bad(&seal)?;
        Ok(new.then(|| BadSeal::of(&seal)))
    }

    /// What a healthy machine has time for. The trash has its turn again at the next boot.
    pub(crate) fn tidy(&self) -> Result<(), Error> {
        self.remember_bad()?;
        self.empty_trash()
    }

    /// Empties the trash, or a good part of it.
    pub(crate) fn empty_trash(&self) -> Result<(), Error> {
        let begun = Instant::now();
        while begun.elapsed() < TIDYING
            && self.store.empty_trash(TRASH_AT_A_TIME)? != Emptied::Whole
        {}
        Ok(())
    }

    /// Marks the running entry good; its new name.
    pub(crate) fn bless(&self) -> Result<EntryName, Error> {
        let running = self.running()?;
        let files = self.store.open_entry(&running)?;
        let good = self.store.bless(&running, &self.verify(&files.seal)?)?;
        if good != running {
            // Only the grace period depends on it, which then is as long as the machine has run.
            fs::write(BLESSED, clock::milliseconds().to_string()).unwrap_or_default();
        }
        Ok(good)
    }
}

/// When the running entry was blessed, since boot, if that was in this boot.
pub(crate) fn blessed_at() -> Option<Duration> {
    let text = fs::read_to_string(BLESSED).ok()?;
    text.parse().ok().map(Duration::from_millis)
}

/// Whether an entry came from a registry.
pub(crate) fn has_origin(entry: &str) -> bool {
    let origin = Path::new(STATE).join("images").join(entry).join("origin");
    fs::metadata(origin).is_ok_and(|it| it.is_file() && it.len() > 0)
}

/// Opens the machine's store.
pub(crate) fn open(boot: &Boot) -> Result<Store, Error> {
    // Both have one digit.
    let tries = u8::try_from(boot.tries.get()).ok().and_then(|tries| Tries::try_from(tries).ok());
    let state = open_directory(Path::new(STATE))?;
    Ok(Store::open(state.as_fd())?.with_tries(tries.unwrap_or(Tries::DEFAULT)))
}

/// Opens a directory for walking only.
pub(crate) fn open_directory(path: &Path) -> Result<OwnedFd, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rfs::open(path, flags, Mode::empty())
        .map_err(|errno| file(&path.display().to_string(), errno.into()))
}

/// Of what this boot passed over, a trial has lost a try, and another name. What still has the name that it had, a good
/// entry or a trial that could not be counted, would be passed over again, without end.
fn first_worth_a_reboot(
    order: Vec<EntryName>,
    running: u64,
    refused: &[String],
) -> Option<EntryName> {
    let may_boot =
        |entry: &EntryName| matches!(entry.state(), EntryState::Good | EntryState::Trial { .. });
    let first = order.into_iter().find(|entry| !refused.contains(&entry.to_string()));
    first.filter(|first| first.sequence() > running && may_boot(first))
}

fn file(path: &str, cause: io::Error) -> Error {
    Error::File { path: path.to_owned(), cause }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage => f.write_str("expected a task"),
            Self::File { path, cause } => write!(f, "cannot use {path}: {cause}"),
            Self::Keys(cause) => cause.fmt(f),
            Self::Handover(cause) => cause.fmt(f),
            Self::Config(cause) => cause.fmt(f),
            Self::Gone(entry) => write!(f, "cannot find {entry} in images/"),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Store(cause) => cause.fmt(f),
        }
    }
}

macro_rules! from {
    ($($variant:ident($type:ty)),+) => { $(
        impl From<$type> for Error {
            fn from(cause: $type) -> Self {
                Self::$variant(cause)
            }
        }
    )+ };
}

from!(
    Keys(pintle_verify::Error),
    Handover(handover::Error),
    Config(pintle_config::Error),
    Store(pintle_update::Error)
);

#[cfg(test)]
mod tests {
    use super::*;

    fn next(order: &[&str], refused: &[&str]) -> Option<String> {
        let order = order.iter().map(|name| name.parse().unwrap()).collect();
        let refused: Vec<String> = refused.iter().map(|name| (*name).to_owned()).collect();
        first_worth_a_reboot(order, 41, &refused).map(|entry| entry.to_string())
    }

    #[test]
    fn what_this_boot_passed_over_is_not_rebooted_into_again() {
        let good = ["43_1.5.0", "41_1.3.0"];
        assert_eq!(next(&good, &[]).as_deref(), Some("43_1.5.0"));
        assert_eq!(next(&good, &["43_1.5.0"]), None);
        assert_eq!(next(&["43_1.5.0+3-0", "41_1.3.0"], &["43_1.5.0+3-0"]), None, "uncounted");
        let between = ["43_1.5.0", "42_1.4.0+3-0", "41_1.3.0"];
        assert_eq!(next(&between, &["43_1.5.0"]).as_deref(), Some("42_1.4.0+3-0"));
    }

    #[test]
    fn a_trial_has_all_its_tries_and_nothing_older_is_rebooted_into() {
        let trial = ["43_1.5.0+2-1", "41_1.3.0"];
        assert_eq!(next(&trial, &["43_1.5.0+3-0"]).as_deref(), Some("43_1.5.0+2-1"));
        assert_eq!(next(&["41_1.3.0", "40_1.2.0", "43_1.5.0+0-3"], &[]), None);
        assert_eq!(next(&["40_1.2.0"], &[]), None);
        assert_eq!(next(&["43_1.5.0+0-3"], &[]), None);
    }
}
