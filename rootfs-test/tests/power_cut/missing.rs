//! Syncs that are left out of the code, one at a time.

use std::collections::BTreeMap;

use anyhow::Result;
use pintle_rootfs_test::power_cut::disk::Disk;

use crate::scene::{OPTIONS, Scene, Without, record_without};
use crate::scenes::Releases;
use crate::sweep;

/// Whatever else runs on this host may sync all file systems, and hide what is looked for: then it is looked for again.
const ATTEMPTS: usize = 3;

/// Plays the scene once for each sync in it, without it. Gives what is synced, and how its absence shows, if it does.
pub(crate) fn try_each(
    scene: &Scene,
    releases: &Releases,
) -> Result<Vec<(String, Option<String>)>> {
    let (base, whole) = (scene.base()?, scene.record()?);
    let disk = Disk::new(base.len() as u64)?;
    let mut results = Vec::new();
    for (act, syncs) in whole.syncs.iter().enumerate() {
        let mut numbers = BTreeMap::<&str, usize>::new();
        for (call, place) in syncs {
            let number = numbers.entry(call).or_default();
            *number += 1;
            let without = Without::Sync { act, call: call.clone(), number: *number };
            let mut failure = None;
            for _ in 0..ATTEMPTS {
                // Nothing after the act, so that no later sync makes up for it.
                let acts = &scene.acts[..=act];
                let recorded = record_without(base.clone(), acts, OPTIONS, &without)?;
                failure = sweep::first_failure(&recorded, &disk, releases);
                if failure.is_some() {
                    break;
                }
            }
            results.push((format!("{:?} {call}({place})", scene.acts[act]), failure));
        }
    }
    Ok(results)
}
