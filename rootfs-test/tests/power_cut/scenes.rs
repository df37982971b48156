//! What a machine goes through.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use pintle_rootfs_test::power_cut::act::Act;

use crate::release::Release;
use crate::scene::Scene;

/// The size of the images: the smallest whose tree has two levels.
pub(crate) const BLOCKS: usize = 140;

/// The update that each machine must still take.
pub(crate) const NEXT: u64 = 90;

/// The old release, two newer ones, and the next.
const SEQUENCES: [u64; 4] = [41, 42, 43, NEXT];

/// The releases of all scenes, by their sequence.
pub(crate) struct Releases {
    releases: BTreeMap<u64, Release>,
    resealed: Release,
}

impl Releases {
    pub(crate) fn new() -> Self {
        let make = |sequence: u64| {
            let mut release = Release::new(sequence, &format!("1.{sequence}"), BLOCKS);
            release.reseal(|seal| seal.floor = if sequence == NEXT { 0 } else { 41.min(sequence) });
            release
        };
        let mut resealed = make(42);
        resealed.reseal(|seal| seal.created += 1);
        Self { releases: SEQUENCES.map(|sequence| (sequence, make(sequence))).into(), resealed }
    }

    pub(crate) fn path(&self, sequence: u64) -> &Path {
        self.releases[&sequence].path()
    }
}

/// All of them.
pub(crate) fn all(releases: &Releases) -> Vec<Scene> {
    let path = |sequence| releases.path(sequence).to_owned();
    let old = || good(releases, 41);
    let both = || [old(), good(releases, 42)].concat();
    let three = || [both(), good(releases, 43)].concat();
    let nothing: fn(&Path) = |_| ();
    let scene = |name, past, meddle, acts| Scene { name, past, meddle, acts };
    let boot = |sequence| [Act::Judge, Act::CountTry(sequence), Act::MarkRunning(sequence)];
    let trial = || [old(), vec![Act::Install(path(42))]].concat();
    let kept = ["/etc/ssh", "/var/lib/app/db"].map(str::to_owned).to_vec();
    vec![
        scene(
            "update",
            old(),
            nothing,
            [
                vec![Act::Install(path(42))],
                boot(42).to_vec(),
                vec![Act::Bless(42), Act::MarkSettled, Act::MarkClean],
            ]
            .concat(),
        ),
        scene(
            "fetch",
            old(),
            nothing,
            vec![Act::Fetch(path(42)), Act::CountTry(42), Act::Bless(42)],
        ),
        scene(
            "fallback",
            trial(),
            nothing,
            [
                boot(42).to_vec(),
                boot(42).to_vec(),
                boot(42).to_vec(),
                vec![Act::RememberBad(42), Act::NoteUnreached(42)],
                boot(41).to_vec(),
                vec![Act::ForgetUnreached(42), Act::Retry(42)],
            ]
            .concat(),
        ),
        scene(
            "doubt",
            both(),
            nothing,
            [
                vec![Act::MarkRunning(42), Act::MarkRunning(42), Act::MarkRunning(42), Act::Judge],
                vec![Act::CountTry(42), Act::Bless(42), Act::JudgeAfterWatchdog, Act::Bless(42)],
                vec![Act::Demote(42), Act::Bless(42), Act::Demote(42)],
            ]
            .concat(),
        ),
        scene(
            "rollback",
            three(),
            nothing,
            vec![Act::RollBack(41), Act::Retry(43), Act::Reject(43)],
        ),
        scene(
            "reseal",
            trial(),
            nothing,
            vec![
                Act::Install(releases.resealed.path().to_owned()),
                Act::Reject(42),
                Act::InstallAgain(releases.resealed.path().to_owned()),
            ],
        ),
        scene("repair", both(), damage, vec![Act::Repair(path(42))]),
        scene(
            "prune",
            three(),
            nothing,
            vec![
                Act::Pin(41),
                Act::Unpin(41),
                Act::Hold,
                Act::Release,
                Act::Prune(1),
                Act::EmptyTrash,
            ],
        ),
        scene(
            "reset",
            both(),
            local_changes,
            vec![
                Act::WishReset(Vec::new()),
                Act::CancelReset,
                Act::WishReset(Vec::new()),
                Act::Reset,
                Act::EmptyTrash,
            ],
        ),
        scene(
            "reset-keep",
            both(),
            local_changes,
            vec![Act::WishReset(kept), Act::Reset, Act::EmptyTrash],
        ),
    ]
}

/// An entry that was installed, booted and blessed.
fn good(releases: &Releases, sequence: u64) -> Vec<Act> {
    vec![
        Act::Prepare,
        Act::Install(releases.path(sequence).to_owned()),
        Act::CountTry(sequence),
        Act::MarkRunning(sequence),
        Act::Bless(sequence),
        Act::MarkClean,
    ]
}

fn damage(root: &Path) {
    let image = root.join("images/42_1.42/root.img");
    File::options().write(true).open(image).unwrap().write_all_at(&[0; 9], 4095).unwrap();
}

fn local_changes(root: &Path) {
    for folder in ["etc/upper/ssh/keys", "etc/upper/net", "etc/work", "var/lib/app"] {
        fs::create_dir_all(root.join("data").join(folder)).unwrap();
    }
    for file in ["etc/upper/ssh/keys/host", "etc/upper/net/x", "var/lib/app/db", "var/lib/other"] {
        fs::write(root.join("data").join(file), file).unwrap();
    }
}
