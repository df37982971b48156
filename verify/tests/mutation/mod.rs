//! Good inputs with a few changes, the same in every run.

#![allow(dead_code, reason = "each test uses a part")]

mod change;

use change::{Random, mutate};

use crate::invariants::Verdict;

/// What is inserted.
const ODD: &[u8] = &[0, 1, 2, 0x7f, 0x80, 0xff, b'-', b'\n', b' '];

/// Each kind of input gets so many mutations; they are the same in every run.
const MUTATIONS: usize = 20_000;

/// With as many mutations as cost no time.
pub(crate) fn run(seeds: &[Vec<u8>], invariant: fn(&[u8]) -> Verdict) {
    run_times(MUTATIONS, seeds, invariant);
}

/// Both verdicts must occur, else the mutations would show little.
pub(crate) fn run_times(times: usize, seeds: &[Vec<u8>], invariant: fn(&[u8]) -> Verdict) {
    seeds.iter().for_each(|seed| assert_eq!(invariant(seed), Verdict::Accepted));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let verdicts = (0..times).map(|_| invariant(&mutation(seeds, &mut random)));
    let (accepted, refused): (Vec<_>, Vec<_>) = verdicts.partition(|v| *v == Verdict::Accepted);
    let counts = [accepted.len(), refused.len()];
    assert!(counts.iter().all(|count| *count >= times / 200), "{counts:?}");
}

/// A good input with one to three changes.
fn mutation(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    (0..=random.below(3)).for_each(|_| mutate(&mut bytes, ODD, random));
    bytes
}
