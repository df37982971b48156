//! Where the frames of a release are to be cut, beside the places where that is decided by itself: where what the older
//! release has meets what it has not. A machine that has that one then fetches no block that it has.
//!
//! They are a hint, in a file of their own beside the image: without it a machine fetches more. Those of the older release
//! are carried along, for machines that missed it.

use std::collections::HashSet;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use pintle_verify::verity::{self, Leaf, LeafHasher};

use crate::error::Attempt;
use crate::parallel;
use crate::{Error, Result};

/// The numbers of blocks in ascending order, in decimal, one a line.
pub const CUTS: &str = "cuts";

/// Ten bytes for each of 100,000 cuts; more would make frames of the image worse than none.
const MAX_FILE: u64 = 1 << 20;

/// So few blocks that are here between others are fetched with those: a frame more and a request more are worth them.
const TRIFLE: usize = 4;

/// Blocks between a cut that is carried along and any other: frames that are shorter compress badly.
const MIN_CARRIED: u64 = 16;

/// Blocks that a thread hashes at a time.
const RUN: usize = 64;

/// The cuts of the release in `directory`; none where it has none.
///
/// # Errors
/// When the file is not of its form.
pub fn read(directory: &Path) -> Result<Vec<u64>> {
    let path = directory.join(CUTS);
    let action = || format!("read {}", path.display());
    let file = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        file => file.attempt(action)?,
    };
    let mut text = String::new();
    file.take(MAX_FILE + 1).read_to_string(&mut text).attempt(action)?;
    parse(&text).ok_or_else(|| {
        let cause = "it is not a list of ascending numbers, of 1 MiB at most; without the file pintle push works too";
        Error::input(format!("use {}", path.display()), cause)
    })
}

/// The cuts that a file's content names; `None` for what is not of its form.
pub fn parse(text: &str) -> Option<Vec<u64>> {
    let cuts = text.lines().map(|line| line.parse().ok()).collect::<Option<Vec<u64>>>()?;
    (text.len() as u64 <= MAX_FILE && cuts.is_sorted_by(|a, b| a < b)).then_some(cuts)
}

/// The content of the file.
pub fn to_text(cuts: &[u64]) -> String {
    cuts.iter().map(|cut| format!("{cut}\n")).collect()
}

/// The cuts of the image with these leaves for machines that have `old`, whose own cuts were `carried`.
///
/// # Errors
/// When `old` cannot be read.
pub fn after(
    old: &File,
    leaves: &[Leaf],
    (hasher, carried): (&LeafHasher, &[u64]),
) -> Result<Vec<u64>> {
    let here = leaves_of(old, hasher)?;
    let known: Vec<bool> = leaves.iter().map(|leaf| here.contains(leaf)).collect();
    let (edges, blocks) = (edges(&known), leaves.len() as u64);
    let choices = [with_carried(&edges, carried, blocks), edges];
    Ok(choices.into_iter().find(|cuts| fits(cuts)).unwrap_or_default())
}

fn leaves_of(image: &File, hasher: &LeafHasher) -> Result<HashSet<Leaf>> {
    let action = || "read the older image".to_owned();
    let blocks = image.metadata().attempt(action)?.len() as usize / verity::BLOCK;
    let mut leaves = vec![Leaf::default(); blocks];
    let runs = (0..).step_by(RUN * verity::BLOCK).zip(leaves.chunks_mut(RUN));
    parallel::for_each(runs, Vec::new, |buffer, (at, leaves)| {
        buffer.resize(leaves.len() * verity::BLOCK, 0);
        image.read_exact_at(buffer, at).attempt(action)?;
        let blocks = buffer.as_chunks().0.iter();
        leaves.iter_mut().zip(blocks).for_each(|(leaf, block)| *leaf = hasher.leaf(block));
        Ok(())
    })?;
    Ok(leaves.into_iter().collect())
}

/// Where known and unknown blocks meet.
fn edges(known: &[bool]) -> Vec<u64> {
    let mut edges: Vec<u64> = Vec::new();
    let (mut at, mut was_known) = (0, None);
    for run in known.chunk_by(|a, b| a == b) {
        let is_known = run.first() == Some(&true) && !(run.len() <= TRIFLE && at > 0);
        if was_known.is_some_and(|was| was != is_known) {
            edges.push(at as u64);
        }
        (at, was_known) = (at + run.len(), Some(is_known));
    }
    edges
}

fn fits(cuts: &[u64]) -> bool {
    to_text(cuts).len() as u64 <= MAX_FILE
}

/// With those of the carried ones that are far enough from all others.
fn with_carried(edges: &[u64], carried: &[u64], blocks: u64) -> Vec<u64> {
    let mut cuts = edges.to_vec();
    let mut last = 0;
    for cut in carried.iter().filter(|cut| **cut < blocks) {
        let next = edges.partition_point(|edge| edge < cut);
        let before = next.checked_sub(1).and_then(|index| edges.get(index)).copied().unwrap_or(0);
        let after = edges.get(next).copied().unwrap_or(blocks);
        if cut - before.max(last) >= MIN_CARRIED && after - cut >= MIN_CARRIED {
            cuts.push(*cut);
            last = *cut;
        }
    }
    cuts.sort_unstable();
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_are_where_known_and_unknown_blocks_meet() {
        for (known, expected) in [
            ("", vec![]),
            ("kkkk", vec![]),
            ("uuuu", vec![]),
            ("kkuu", vec![2]),
            ("kuukkkkk", vec![1, 3]),
            ("kkuukkkkkuu", vec![2, 4, 9]),
            // A few known blocks between others are no reason to cut.
            ("uukuukkkkk", vec![5]),
            ("kkukkkku", vec![2]),
            ("uukkkk", vec![]),
        ] {
            let known: Vec<bool> = known.chars().map(|one| one == 'k').collect();
            assert_eq!(edges(&known), expected);
        }
    }

    #[test]
    fn carried_cuts_keep_their_distance() {
        let cuts = |carried: &[u64]| with_carried(&[100, 200], carried, 300);
        assert_eq!(cuts(&[]), [100, 200]);
        assert_eq!(cuts(&[10, 16, 31, 32, 90, 100, 110, 150]), [16, 32, 100, 150, 200]);
        assert_eq!(cuts(&[184, 185, 284, 285, 300, 400]), [100, 184, 200, 284]);
    }

    #[test]
    fn only_ascending_numbers_are_cuts() {
        assert_eq!(parse(""), Some(vec![]));
        assert_eq!(parse(&to_text(&[1, 20, 300])), Some(vec![1, 20, 300]));
        for wrong in ["x", "1\n1\n", "2\n1\n", "-1\n", "1 2\n", "18446744073709551616\n", "1\n\n2"]
        {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        let long: String = (0..=MAX_FILE / 2).map(|number| format!("{number}\n")).collect();
        assert_eq!(parse(&long), None);
    }
}
