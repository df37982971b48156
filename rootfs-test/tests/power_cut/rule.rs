//! What must hold of each state that a cut leaves.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use pintle_rootfs_test::power_cut::seen::{Entry, Seen};

/// The store before an act and after it. Where the act is over, both are the same.
#[derive(Clone, Copy)]
pub(crate) struct Rule<'a> {
    pub(crate) before: &'a Seen,
    pub(crate) after: &'a Seen,
}

impl Rule<'_> {
    /// Whether what is there is of before or of after, in each of its parts, and the parts fit together.
    pub(crate) fn check(&self, now: &Seen) -> Result<()> {
        self.entries_are_old_or_new(now)?;
        self.next_is_old_or_new(now)?;
        self.trust_is_old_or_new(now)?;
        ensure!(
            now.data == self.before.data || now.data == self.after.data,
            "data is mixed: {:?}",
            now.data.keys()
        );
        Ok(())
    }

    /// With any of the sequences that may boot.
    pub(crate) fn may_boot(&self, sequence: u64) -> Result<()> {
        ensure!(self.sequences().contains(&sequence), "{sequence} boots");
        Ok(())
    }

    /// What may boot: the old, the new, and what a rollback passes on its way down.
    fn sequences(&self) -> BTreeSet<u64> {
        let ends = [self.before.boots(), self.after.boots()];
        let (from, to) = (ends.iter().flatten().max(), ends.iter().flatten().min());
        let between = |sequence: &u64| Some(sequence) <= from && Some(sequence) >= to;
        let good = self.before.good().into_iter().filter(between);
        ends.into_iter().flatten().chain(good).collect()
    }

    fn entries_are_old_or_new(&self, now: &Seen) -> Result<()> {
        let sequences = [self.before, self.after, now].map(|seen| seen.entries.keys());
        for sequence in sequences.into_iter().flatten() {
            let of = |seen: &Seen| seen.entries.get(sequence).cloned().unwrap_or_default();
            let (before, after, now) = (of(self.before), of(self.after), of(now));
            let known: Vec<_> = before.iter().chain(&after).collect();
            for entry in &now {
                ensure!(is_one_of(entry, &known), "{entry:?} was never there");
            }
            let kept = before.is_empty() || after.is_empty() || !now.is_empty();
            ensure!(kept && now.len() <= before.len().max(after.len()), "{sequence}: {now:?}");
            ensure!(
                before != after || now.len() == before.len(),
                "{sequence} was not to change: {now:?}"
            );
        }
        Ok(())
    }

    fn next_is_old_or_new(&self, now: &Seen) -> Result<()> {
        let first = now.order().first().map(|entry| entry.sequence());
        let boots = now.boots();
        ensure!(boots.is_some(), "nothing boots");
        self.may_boot(boots.unwrap_or_default())?;
        // What is chosen is whole, unless it was damaged before.
        let was_damaged =
            self.before.entries.values().flatten().any(|entry| !entry.flaw.is_empty());
        ensure!(first == boots || was_damaged, "{first:?} is chosen and does not boot");
        let lost = !self.before.good().is_empty() && !self.after.good().is_empty();
        ensure!(!lost || !now.good().is_empty(), "no good entry is left");
        Ok(())
    }

    fn trust_is_old_or_new(&self, now: &Seen) -> Result<()> {
        let (before, after) = (&self.before.trust, &self.after.trust);
        let all: BTreeSet<_> = before.union(after).collect();
        let both = before.intersection(after);
        ensure!(now.trust.iter().all(|name| all.contains(name)), "trust has {:?}", now.trust);
        let mut kept = both.filter(|name| !now.trust.contains(*name));
        ensure!(kept.next().is_none(), "trust lost a name: {:?}", now.trust);
        let floor = now.known().floor;
        ensure!(floor >= self.before.known().floor, "the floor fell to {floor}");
        let least = before.len().min(after.len());
        ensure!(now.trust.len() >= least, "trust is neither: {:?}", now.trust);
        Ok(())
    }
}

/// Under a name that it had, with files that it had, each for itself: a repair puts one after the other in place.
fn is_one_of(entry: &Entry, known: &[&Entry]) -> bool {
    let file_is_known = |(name, digest): (&String, &String)| {
        known.iter().any(|it| it.files.get(name) == Some(digest))
    };
    let same_files = known.iter().any(|it| it.files.keys().eq(entry.files.keys()));
    let flaw_is_known = entry.flaw.is_empty() || known.iter().any(|it| it.flaw == entry.flaw);
    known.iter().any(|it| it.name == entry.name)
        && entry.files.iter().all(file_is_known)
        && same_files
        && flaw_is_known
}
