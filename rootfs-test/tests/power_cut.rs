//! Power cuts: every write and flush of a disk is recorded while a real ext4 on it holds a store that the real code changes; each
//! state that a cut could have left is mounted, booted and updated. Needs root, FUSE and loop devices.
//!
//! `PINTLE_POWER_CUT_SPREAD=N` makes N times as many states of each position. What is shown: `docs/power-cuts.md`.

#[allow(dead_code, reason = "other tests need more of it")]
#[path = "../../update/tests/release/mod.rs"]
mod release;
#[path = "power_cut/scene.rs"]
mod scene;
#[path = "power_cut/rule.rs"]
mod rule;
#[path = "power_cut/scenes.rs"]
mod scenes;
#[path = "power_cut/sweep.rs"]
mod sweep;

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use pintle_verify::Digest;

/// So many distinct states are to be tried at least.
const STATES_MIN: usize = 2000;

#[test]
fn whatever_a_cut_leaves_boots_the_old_or_the_new_and_updates() -> Result<()> {
    let releases = scenes::Releases::new();
    let (mut states, mut failures) = (BTreeSet::<Digest>::new(), Vec::new());
    for scene in scenes::all(&releases) {
        let recorded = scene.record(scene::OPTIONS, &scene::Without::Nothing)?;
        let swept = sweep::sweep(&recorded, &releases, sweep::spread())?;
        println!("{:12} {:4} requests {:5} states", scene.name, recorded.tape.entries.len(), swept.states.len());
        failures.extend(swept.failures.into_iter().map(|failure| format!("{}: {failure}", scene.name)));
        states.extend(swept.states);
    }
    println!("{} distinct states", states.len());
    ensure!(failures.is_empty(), "{} bad states:\n{}", failures.len(), failures.join("\n"));
    ensure!(states.len() >= STATES_MIN, "only {} distinct states", states.len());
    Ok(())
}
