//! Syncs that are left out of the code, one at a time: strace has the call return at once, as if it had gone well.

use std::collections::BTreeMap;

use anyhow::Result;
use pintle_rootfs_test::power_cut::disk::Disk;

use crate::scene::{OPTIONS, Recorded, Scene, Without, record_without};
use crate::scenes::Releases;
use crate::sweep;

/// Whatever else runs on this host may sync all file systems, and hide what is looked for: then it is looked for again. A bad
/// state that is found once is proof enough.
const ATTEMPTS: usize = 3;

const LATER: &str =
    "ext4 has one journal, in order: what a later sync of the same act saves, it saves after this";
const PAIR: &str =
    "the file is empty, and syncing it or its directory commits the same transaction";
const NOTHING: &str = "what is cleared away here is promised to nobody";
const BEFORE: &str =
    "what it saves was saved by the act before, unless that died; and see the first reason";

/// Syncs that ext4 makes up for: the act, the beginning of what is synced, and why. Another file system need not; that each of
/// them is needed by the rules of the store, `update/tests/durability.rs` shows.
const HIDDEN: &[(&str, &str, &str)] = &[
    ("Install", "incoming/42", LATER),
    ("Install", "incoming", LATER),
    ("Install", "images/", LATER),
    ("Fetch", "incoming/42", LATER),
    ("Fetch", "incoming", LATER),
    ("Repair", "incoming/42", LATER),
    ("Repair", "images/", LATER),
    ("Repair", "incoming", NOTHING),
    ("InstallAgain", "incoming", NOTHING),
    ("RollBack", "images", LATER),
    ("JudgeAfterWatchdog", "images", LATER),
    ("Demote", "images", LATER),
    ("Reset", "", LATER),
    ("RememberBad", "trust", PAIR),
    ("NoteUnreached", "trust", PAIR),
    ("Pin", "trust", PAIR),
    ("Hold", "trust", PAIR),
    ("EmptyTrash", "trash", BEFORE),
];

/// What became of a sync's absence.
pub(crate) struct Tried {
    /// The act, the call and what it syncs.
    pub(crate) sync: String,
    /// The bad state that showed it.
    pub(crate) failure: Option<String>,
    /// Why none has to.
    pub(crate) excuse: Option<&'static str>,
}

/// Plays the scene once for each sync in it, without it.
pub(crate) fn try_each(scene: &Scene, releases: &Releases) -> Result<Vec<Tried>> {
    let (base, whole) = (scene.base()?, scene.record()?);
    let disk = Disk::new(base.len() as u64)?;
    let mut all = Vec::new();
    for (act, syncs) in whole.syncs.iter().enumerate() {
        let mut numbers = BTreeMap::<&str, usize>::new();
        for (call, place) in syncs {
            let number = numbers.entry(call).or_default();
            *number += 1;
            let without = Without::Sync { act, call: call.clone(), number: *number };
            let excuse = excuse(&format!("{:?}", scene.acts[act]), call, place);
            let attempts = if excuse.is_some() { 1 } else { ATTEMPTS };
            let play = || -> Result<Option<String>> {
                // Nothing after the act, so that no later one makes up for it.
                let acts = &scene.acts[..=act];
                let recorded = record_without(base.clone(), acts, OPTIONS, &without)?;
                let recorded = Recorded { reset: whole.reset.clone(), ..recorded };
                Ok(sweep::first_failure(&recorded, act, &disk, releases))
            };
            let failure = (0..attempts).find_map(|_| play().transpose()).transpose()?;
            let sync = format!("{} {call}({place})", name(&format!("{:?}", scene.acts[act])));
            all.push(Tried { sync, failure, excuse });
        }
    }
    Ok(all)
}

/// A file's bytes no other sync saves, if it has any: a wish for a reset that keeps nothing has none.
fn excuse(act: &str, call: &str, place: &str) -> Option<&'static str> {
    if call == "fdatasync" {
        return (act == "WishReset([])").then_some(PAIR);
    }
    let is_it = |(of, start, _): &&(&str, &str, &str)| name(act) == *of && place.starts_with(start);
    HIDDEN.iter().find(is_it).map(|(_, _, why)| *why)
}

fn name(act: &str) -> &str {
    act.split('(').next().unwrap_or_default()
}
