use pintle_verify::{Seal, Verified, peek};
use rustix::fd::BorrowedFd;

use crate::hands::Hands;
use crate::install::{self, BadSeals, InstallStep, Installed, Reseal};
use crate::installer::Installer;
use crate::plan::Change;
use crate::trash::{self, Emptied};
use crate::{
    BadSeal, EntryFiles, EntryName, Error, Event, Hold, Listing, Mark, Place, Refused, Step, Tries,
    Trust, files, listing, plan,
};

/// Names that are removed before the space is looked at anew.
const TRASH_AT_A_TIME: usize = 1000;

/// Why the machine starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reset {
    /// The watchdog's driver says that it was the watchdog (`WDIOF_CARDRESET`).
    Watchdog,
    /// Anything else, or the driver cannot tell.
    Other,
}

/// The directories `images/`, `incoming/`, `trash/` and `trust/` of one file system.
///
/// Each change is durable when its function returns `Ok`. After an error nothing is known to have
/// changed, nor not to have; after a failed sync the store refuses every further change.
pub struct Store {
    pub(crate) hands: Hands,
    tries: Tries,
}

impl Store {
    /// Opens the store whose root directory this is. The file system stays busy until the store is
    /// dropped, whatever becomes of this descriptor.
    pub fn open(state: BorrowedFd<'_>) -> Result<Self, Error> {
        Ok(Self { hands: Hands::open(state)?, tries: Tries::DEFAULT })
    }

    /// Gives this many tries to new trials, and to good entries that failed.
    pub fn with_tries(self, tries: Tries) -> Self {
        Self { tries, ..self }
    }

    pub(crate) fn tries(&self) -> Tries {
        self.tries
    }

    /// Makes the store's directories, where they are missing.
    pub fn prepare(&self) -> Result<(), Error> {
        let there = listing::names(&self.hands, &Place::root())?;
        let missing = [Place::images(), Place::incoming(), Place::trash(), Place::trust()]
            .into_iter()
            .filter(|place| !there.iter().any(|(name, _)| name == place.leaf()));
        let mut steps: Vec<_> = missing.map(Step::MakeDir).collect();
        if !steps.is_empty() {
            steps.push(Step::SyncDir(Place::root()));
        }
        self.hands.carry_out(&steps)
    }

    /// What is in `images/`.
    pub fn entries(&self) -> Result<Listing, Error> {
        Ok(Listing::from_names(listing::names(&self.hands, &Place::images())?))
    }

    /// What is in `trust/`; without the directory, what a new machine knows: nothing.
    pub fn trust(&self) -> Result<Trust, Error> {
        match listing::names(&self.hands, &Place::trust()) {
            Ok(names) => Ok(Trust::from_names(names.iter().map(|(name, _)| name.as_str()))),
            Err(error) if error.is_missing() => Ok(Trust::default()),
            Err(error) => Err(error),
        }
    }

    /// The lowest sequence that may still be installed or booted.
    pub fn floor(&self) -> Result<u64, Error> {
        Ok(self.trust()?.floor)
    }

    /// Opens an entry's files.
    pub fn open_entry(&self, entry: &EntryName) -> Result<EntryFiles, Error> {
        files::open(&self.hands, &Place::entry(entry))
    }

    /// To be called before the entries are listed for a choice: a good entry during whose run the
    /// watchdog reset the machine, or that ran three times in a row without a clean shutdown, is
    /// put on trial again; and where all bad entries had nine tries, they count from one again.
    ///
    /// Returns the old and the new name of the entry that was put on trial.
    pub fn judge_last_run(&self, reset: Reset) -> Result<Option<(EntryName, EntryName)>, Error> {
        let judged = self.judge_good(reset)?;
        self.hands.carry_out(&plan::new_round(&self.entries()?.entries, self.floor()?))?;
        Ok(judged)
    }

    fn judge_good(&self, reset: Reset) -> Result<Option<(EntryName, EntryName)>, Error> {
        let (entries, trust) = (self.entries()?.entries, self.trust()?);
        let Some(entry) = plan::last_run(&entries, &trust) else { return Ok(None) };
        let change = match reset {
            Reset::Watchdog => Some(plan::demote(&entries, &trust, entry, self.tries)),
            Reset::Other => plan::doubt(&entries, &trust, self.tries),
        };
        let Some(change) = change else { return Ok(None) };
        self.carry_out(change).map(|name| Some((entry.clone(), name)))
    }

    /// Counts a try, durably, before the entry is booted, and returns its new name.
    ///
    /// On an error a trial must not be booted. Good and rejected entries have no counter; for them
    /// nothing is written. A bad one may be booted uncounted, when it is the last resort.
    pub fn count_try(&self, entry: &EntryName) -> Result<EntryName, Error> {
        self.carry_out(plan::count_try(&self.entries()?.entries, entry))
    }

    /// Notes that `entry` (by its name after counting) is the one that runs from now on.
    pub fn mark_running(&self, entry: &EntryName) -> Result<Mark, Error> {
        self.set_mark(|mark| mark.started(entry))
    }

    /// Notes that the running entry has been healthy for long: what it did before is forgiven.
    pub fn mark_settled(&self) -> Result<Mark, Error> {
        self.set_mark(Mark::settled)
    }

    /// Notes a clean shutdown; to be called when nothing can fail any more that an entry could be
    /// blamed for.
    pub fn mark_clean(&self) -> Result<Mark, Error> {
        self.set_mark(|_| Mark::Clean)
    }

    /// Makes the running entry good, and raises the floor to its seal's. For a good entry, only the
    /// latter; so bless at each healthy boot.
    pub fn bless(&self, entry: &EntryName, seal: &Verified<Seal>) -> Result<EntryName, Error> {
        let (entries, trust) = (self.entries()?.entries, self.trust()?);
        self.carry_out(plan::bless(&entries, &trust, entry, seal.floor))
    }

    /// Puts the running entry on trial again if it is good, before a reset that the machine causes
    /// itself; the third time without a clean shutdown or a long healthy time it becomes bad.
    pub fn demote(&self, entry: &EntryName) -> Result<EntryName, Error> {
        let (entries, trust) = (self.entries()?.entries, self.trust()?);
        self.carry_out(plan::demote(&entries, &trust, entry, self.tries))
    }

    /// Takes an entry out of the selection, as the operator wishes.
    pub fn reject(&self, entry: &EntryName) -> Result<EntryName, Error> {
        self.happen(entry, Event::Reject)
    }

    /// Gives a trial, a bad or a rejected entry all its tries again.
    pub fn retry(&self, entry: &EntryName) -> Result<EntryName, Error> {
        self.happen(entry, Event::Retry)
    }

    /// Makes `target`, a good entry, the next to boot: what is above it is rejected, the newest
    /// first.
    pub fn roll_back(&self, target: &EntryName) -> Result<(), Error> {
        let (entries, trust) = (self.entries()?.entries, self.trust()?);
        self.hands.carry_out(&plan::roll_back(&entries, trust.floor, target)?)
    }

    /// Remembers what turned out bad, so that it is not installed again by itself.
    pub fn remember_bad(&self, bad: BadSeal) -> Result<(), Error> {
        self.hands.carry_out(&plan::remember_bad(&self.trust()?, bad))
    }

    /// Keeps an entry until it is unpinned.
    pub fn pin(&self, entry: &EntryName) -> Result<(), Error> {
        self.hands.carry_out(&plan::pin(&self.trust()?, entry.sequence()))
    }

    /// Lets an entry go as every other one.
    pub fn unpin(&self, entry: &EntryName) -> Result<(), Error> {
        self.hands.carry_out(&plan::unpin(&self.trust()?, entry.sequence()))
    }

    /// Notes that the machine came with this entry; only once.
    pub fn ship(&self, entry: &EntryName) -> Result<(), Error> {
        self.hands.carry_out(&plan::ship(&self.trust()?, entry.sequence()))
    }

    /// Notes that an entry was left for nothing but that its registry could not be reached.
    pub fn note_unreached(&self, entry: &EntryName) -> Result<(), Error> {
        self.hands.carry_out(&plan::note_unreached(&self.trust()?, entry.sequence()))
    }

    /// Forgets it.
    pub fn forget_unreached(&self, entry: &EntryName) -> Result<(), Error> {
        self.hands.carry_out(&plan::forget_unreached(&self.trust()?, entry.sequence()))
    }

    /// Has the machine wait for its operator with updates, or not.
    pub fn set_hold(&self, hold: Hold) -> Result<(), Error> {
        self.hands.carry_out(&plan::set_hold(&self.trust()?, hold))
    }

    /// Whether what this seals turned out bad.
    pub fn is_bad(&self, seal: &Seal) -> Result<bool, Error> {
        Ok(self.trust()?.is_bad(seal))
    }

    /// The entries that would be the last to boot, all but `keep`, without pinned ones, what has one of the `protected`
    /// sequences (the running entry's), and the newest good entry.
    pub fn surplus(&self, keep: usize, protected: &[u64]) -> Result<Vec<EntryName>, Error> {
        let (entries, trust) = (self.entries()?.entries, self.trust()?);
        Ok(plan::surplus(&entries, &trust, keep, protected))
    }

    /// Moves entries into the trash.
    pub fn discard(&self, entries: &[EntryName]) -> Result<(), Error> {
        self.hands.carry_out(&plan::discard(entries))
    }

    /// Removes about `budget` names from the trash; needs no space.
    pub fn empty_trash(&self, budget: usize) -> Result<Emptied, Error> {
        trash::empty(&self.hands, budget)
    }

    /// Makes an entry out of a release, on trial. On success everything of it is on the disk and
    /// was read back from there; on an error the selection is what it was.
    ///
    /// What an earlier attempt left is removed first; where the space does not suffice, the trash
    /// is emptied before that is an error.
    pub fn install(
        &self,
        release: &EntryFiles,
        seal: &Verified<Seal>,
        bad: BadSeals,
    ) -> Result<Installed, Error> {
        if peek(&release.seal).as_ref() != Ok(&**seal) {
            return Err(Refused::OtherSeal.into());
        }
        install::admit(&self.trust()?, seal, bad)?;
        let _only_one = self.hands.lock(&Place::incoming())?;
        let entries = self.entries()?.entries;
        match entries.into_iter().find(|entry| entry.sequence() == seal.sequence) {
            Some(entry) if bad == BadSeals::Install => self.install_again(entry, release, seal),
            Some(entry) => self.reseal(entry, release, seal),
            None => self.install_new(release, seal),
        }
    }

    /// The operator insists: what turned out bad, or was rejected, gets all its tries again.
    pub(crate) fn install_again(
        &self,
        entry: EntryName,
        release: &EntryFiles,
        seal: &Verified<Seal>,
    ) -> Result<Installed, Error> {
        let done = self.reseal(entry.clone(), release, seal)?;
        let name = self.retry(&entry)?;
        Ok(match done {
            Installed::Resealed(_) => Installed::Resealed(name),
            _ if name != entry => Installed::Retried(name),
            already => already,
        })
    }

    fn install_new(&self, release: &EntryFiles, seal: &Verified<Seal>) -> Result<Installed, Error> {
        let (name, steps) = install::steps(seal, self.tries);
        self.clear_incoming(seal.sequence)?;
        self.ensure_space(seal)?;
        match self.perform(release, seal, &steps) {
            Ok(()) => Ok(Installed::New(name)),
            Err(error) => {
                // What is left of the attempt is only in the way; if it cannot be cleared, the next one does.
                self.clear_incoming(seal.sequence).unwrap_or_default();
                Err(error)
            }
        }
    }

    pub(crate) fn reseal(
        &self,
        entry: EntryName,
        release: &EntryFiles,
        seal: &Verified<Seal>,
    ) -> Result<Installed, Error> {
        let old = peek(&self.open_entry(&entry)?.seal).map_err(|_| Refused::SequenceTaken)?;
        if install::reseal(&old, seal)? == Reseal::Keep {
            return Ok(Installed::Already(entry));
        }
        self.clear_incoming(seal.sequence)?;
        self.perform(release, seal, &install::reseal_steps(seal, &entry))?;
        Ok(Installed::Resealed(entry))
    }

    fn perform(
        &self,
        release: &EntryFiles,
        seal: &Verified<Seal>,
        steps: &[InstallStep],
    ) -> Result<(), Error> {
        let mut installer = Installer::new(&self.hands, release, seal)?;
        steps.iter().try_for_each(|step| installer.carry_out(step))
    }

    fn clear_incoming(&self, sequence: u64) -> Result<(), Error> {
        let names = listing::names(&self.hands, &Place::incoming())?;
        if names.iter().any(|(name, _)| *name == sequence.to_string()) {
            self.hands.carry_out(&install::clear_steps(sequence))?;
        }
        Ok(())
    }

    fn ensure_space(&self, seal: &Seal) -> Result<(), Error> {
        while let Err(error) = self.check_space(seal) {
            if self.empty_trash(TRASH_AT_A_TIME)? == Emptied::Whole {
                return self.check_space(seal).or(Err(error));
            }
        }
        Ok(())
    }

    fn check_space(&self, seal: &Seal) -> Result<(), Error> {
        let (free, block) = self.hands.free_space()?;
        let needed = install::space(seal, block)?;
        if free < needed { Err(Error::Space { needed, free }) } else { Ok(()) }
    }

    fn happen(&self, entry: &EntryName, event: Event) -> Result<EntryName, Error> {
        self.carry_out(plan::happen(&self.entries()?.entries, entry, event, self.tries))
    }

    fn set_mark(&self, next: impl FnOnce(Mark) -> Mark) -> Result<Mark, Error> {
        let trust = self.trust()?;
        let mark = next(trust.mark());
        self.hands.carry_out(&plan::set_mark(&trust, mark))?;
        Ok(mark)
    }

    fn carry_out(&self, change: Change) -> Result<EntryName, Error> {
        self.hands.carry_out(&change.steps)?;
        Ok(change.name)
    }
}
