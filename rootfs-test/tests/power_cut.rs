//! Power cuts: every write and flush of a disk is recorded while a real ext4 on it holds a store that the real code changes; each
//! state that a cut could have left is mounted, booted and updated. Needs root, FUSE and loop devices.
//!
//! `PINTLE_POWER_CUT_SPREAD=N` makes N times as many states of each position. What is shown: `docs/power-cuts.md`.

#[path = "power_cut/missing.rs"]
mod missing;
#[allow(dead_code, reason = "other tests need more of it")]
#[path = "../../update/tests/release/mod.rs"]
mod release;
#[path = "power_cut/rule.rs"]
mod rule;
#[path = "power_cut/scene.rs"]
mod scene;
#[path = "power_cut/scenes.rs"]
mod scenes;
#[path = "power_cut/sweep.rs"]
mod sweep;

use std::sync::{Mutex, PoisonError};

use anyhow::{Result, ensure};
use pintle_rootfs_test::power_cut::mounts::Mounts;
use sweep::Swept;

/// So many distinct states are to be tried at least.
const STATES_MIN: usize = 2000;

/// One at a time: while a test starts a program, that has all descriptors of the others.
static TURN: Mutex<()> = Mutex::new(());

#[test]
fn whatever_a_cut_leaves_boots_the_old_or_the_new_and_updates() -> Result<()> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let _mounts = Mounts::enter()?;
    let releases = scenes::Releases::new();
    let mut all = Swept::default();
    for scene in scenes::all(&releases) {
        let recorded = scene.record()?;
        let once = sweep::sweep(&recorded, &releases, sweep::spread())?;
        let twice = sweep::sweep_recoveries(&recorded, &releases)?;
        let requests = recorded.tape.entries.len();
        let (first, second) = (once.states.len(), twice.states.len());
        println!(
            "{:12} {requests:4} requests {first:5} states {second:5} after two cuts",
            scene.name
        );
        [once, twice].into_iter().for_each(|swept| all.add(scene.name, swept));
    }
    println!("{} distinct states", all.states.len());
    ensure!(
        all.failures.is_empty(),
        "{} bad states:\n{}",
        all.failures.len(),
        all.failures.join("\n")
    );
    ensure!(all.states.len() >= STATES_MIN, "only {} distinct states", all.states.len());
    Ok(())
}

/// Without any one of them a cut leaves a bad state, but for those that ext4 makes up for: `missing.rs` has their table.
#[test]
fn no_sync_can_be_left_out() -> Result<()> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let _mounts = Mounts::enter()?;
    let releases = scenes::Releases::new();
    let (mut found, mut hidden, mut missed) = (0, 0, Vec::new());
    for scene in scenes::all(&releases) {
        for tried in missing::try_each(&scene, &releases)? {
            let shown = tried.failure.as_deref().or(tried.excuse).unwrap_or("nobody misses it");
            println!("{:12} {:50} {shown:.200}", scene.name, tried.sync);
            match (tried.failure, tried.excuse) {
                (Some(_), _) => found += 1,
                (None, Some(_)) => hidden += 1,
                (None, None) => missed.push(format!("{}: {}", scene.name, tried.sync)),
            }
        }
    }
    println!("{found} found, {hidden} hidden by ext4");
    ensure!(missed.is_empty(), "nobody misses:\n{}", missed.join("\n"));
    Ok(())
}
