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
use sweep::Swept;

/// So many distinct states are to be tried at least.
const STATES_MIN: usize = 2000;

/// One at a time: while a test starts a program, that has all descriptors of the others.
static TURN: Mutex<()> = Mutex::new(());

#[test]
fn whatever_a_cut_leaves_boots_the_old_or_the_new_and_updates() -> Result<()> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
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

/// A sync of an act is left out, and nothing that a cut leaves of ext4 tells: these, and no others.
#[test]
fn no_sync_can_be_left_out() -> Result<()> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let releases = scenes::Releases::new();
    let (mut found, mut hidden) = (0, Vec::new());
    for scene in scenes::all(&releases) {
        for (sync, failure) in missing::try_each(&scene, &releases)? {
            println!("{:12} {sync:60} {}", scene.name, failure.as_deref().unwrap_or("hidden"));
            match failure {
                Some(_) => found += 1,
                None => hidden.push(format!("{}: {sync}", scene.name)),
            }
        }
    }
    println!("{found} found, {} hidden", hidden.len());
    ensure!(hidden.is_empty(), "hidden:\n{}", hidden.join("\n"));
    Ok(())
}
