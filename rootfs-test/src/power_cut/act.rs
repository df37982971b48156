//! What is done to a store while its disk is recorded. Each act is a program's run of its own, so that it begins and
//! ends where its system calls do.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use pintle_update::{BadSeal, BadSeals, Emptied, Hold, KeptPath, Reset, reset};
use pintle_verify::peek;
use serde::{Deserialize, Serialize};

use super::machine::Machine;

/// One function of the library, with what it is called with. A number is an entry's sequence, a path a release's directory.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
pub enum Act {
    /// The store's directories.
    Prepare,
    /// `Store::install`
    Install(PathBuf),
    /// `Store::install`, though it turned out bad.
    InstallAgain(PathBuf),
    /// `Store::begin` and `Store::finish`
    Fetch(PathBuf),
    /// `Store::begin_repair` and `Store::finish`
    Repair(PathBuf),
    /// `Store::judge_last_run`
    Judge,
    /// `Store::judge_last_run` after the watchdog
    JudgeAfterWatchdog,
    /// `Store::count_try`
    CountTry(u64),
    /// `Store::mark_running`
    MarkRunning(u64),
    /// `Store::mark_settled`
    MarkSettled,
    /// `Store::mark_clean`
    MarkClean,
    /// `Store::bless`
    Bless(u64),
    /// `Store::demote`
    Demote(u64),
    /// `Store::reject`
    Reject(u64),
    /// `Store::retry`
    Retry(u64),
    /// `Store::roll_back`
    RollBack(u64),
    /// `Store::remember_bad`
    RememberBad(u64),
    /// `Store::pin`
    Pin(u64),
    /// `Store::unpin`
    Unpin(u64),
    /// `Store::note_unreached`
    NoteUnreached(u64),
    /// `Store::forget_unreached`
    ForgetUnreached(u64),
    /// `Store::set_hold`, on
    Hold,
    /// `Store::set_hold`, off
    Release,
    /// `Store::discard` of what is surplus to this many
    Prune(usize),
    /// `Store::empty_trash`, to the end
    EmptyTrash,
    /// `reset::request`, with the paths to keep
    WishReset(Vec<String>),
    /// `reset::cancel`
    CancelReset,
    /// `reset::carry_out_pending`
    Reset,
    /// `Store::count_try` of the entry that boots next
    CountNext,
    /// `Store::mark_running` of the entry that boots next
    MarkNext,
}

impl Act {
    /// Does it to the store of a mounted file system.
    ///
    /// # Errors
    /// Those of the function.
    pub fn perform(&self, root: &Path) -> Result<()> {
        let machine = Machine::open(root)?;
        self.install(&machine)?;
        self.count(&machine)?;
        self.decide(&machine)?;
        self.clear(&machine)
    }

    fn install(&self, machine: &Machine) -> Result<()> {
        match self {
            Self::Prepare => machine.store.prepare()?,
            Self::Install(release) => drop(machine.install(release, BadSeals::Refuse)?),
            Self::InstallAgain(release) => drop(machine.install(release, BadSeals::Install)?),
            Self::Fetch(release) => drop(machine.fetch(release)?),
            Self::Repair(release) => drop(machine.repair(release)?),
            _ => {}
        }
        Ok(())
    }

    fn count(&self, machine: &Machine) -> Result<()> {
        let (store, entry) = (&machine.store, |sequence: &u64| machine.entry(*sequence));
        match self {
            Self::Judge => drop(store.judge_last_run(Reset::Other)?),
            Self::JudgeAfterWatchdog => drop(store.judge_last_run(Reset::Watchdog)?),
            Self::CountTry(sequence) => drop(store.count_try(&entry(sequence)?)?),
            Self::MarkRunning(sequence) => drop(store.mark_running(&entry(sequence)?)?),
            Self::CountNext => drop(store.count_try(&machine.next()?)?),
            Self::MarkNext => drop(store.mark_running(&machine.next()?)?),
            Self::MarkSettled => drop(store.mark_settled()?),
            Self::MarkClean => drop(store.mark_clean()?),
            Self::Demote(sequence) => drop(store.demote(&entry(sequence)?)?),
            Self::Bless(sequence) => {
                let entry = entry(sequence)?;
                drop(store.bless(&entry, &machine.check(&entry)?)?);
            }
            _ => {}
        }
        Ok(())
    }

    fn decide(&self, machine: &Machine) -> Result<()> {
        let (store, entry) = (&machine.store, |sequence: &u64| machine.entry(*sequence));
        match self {
            Self::Reject(sequence) => drop(store.reject(&entry(sequence)?)?),
            Self::Retry(sequence) => drop(store.retry(&entry(sequence)?)?),
            Self::RollBack(sequence) => store.roll_back(&entry(sequence)?)?,
            Self::RememberBad(sequence) => {
                let seal = peek(&store.open_entry(&entry(sequence)?)?.seal)?;
                store.remember_bad(BadSeal::of(&seal))?;
            }
            Self::Pin(sequence) => store.pin(&entry(sequence)?)?,
            Self::Unpin(sequence) => store.unpin(&entry(sequence)?)?,
            Self::NoteUnreached(sequence) => store.note_unreached(&entry(sequence)?)?,
            Self::ForgetUnreached(sequence) => store.forget_unreached(&entry(sequence)?)?,
            Self::Hold => store.set_hold(Hold::On)?,
            Self::Release => store.set_hold(Hold::Off)?,
            _ => {}
        }
        Ok(())
    }

    fn clear(&self, machine: &Machine) -> Result<()> {
        const NAMES_AT_A_TIME: usize = 2;
        match self {
            Self::Prune(keep) => machine.store.discard(&machine.store.surplus(*keep, &[])?)?,
            Self::EmptyTrash => {
                while machine.store.empty_trash(NAMES_AT_A_TIME)? == Emptied::InPart {}
            }
            Self::WishReset(kept) => {
                let kept: Result<Vec<KeptPath>, _> = kept.iter().map(|path| path.parse()).collect();
                reset::request(machine.root(), &kept.context("cannot read a path to keep")?)?;
            }
            Self::CancelReset => reset::cancel(machine.root())?,
            Self::Reset => drop(reset::carry_out_pending(machine.root())?),
            _ => {}
        }
        Ok(())
    }
}
