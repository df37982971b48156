//! Good inputs with a few changes, the same in every run.

#![allow(dead_code, reason = "each test uses a part")]

use crate::invariants::Verdict;

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
    (0..=random.below(3)).for_each(|_| mutate(&mut bytes, random));
    bytes
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    let start = random.below(bytes.len() + 1);
    let end = bytes.len().min(start + random.below(33));
    match random.below(6) {
        0 => drop(bytes.drain(start..end)),
        1 => bytes.truncate(end),
        2 => bytes.extend_from_within(start..end),
        3 => bytes.insert(start, *random.pick(&[0, 1, 2, 0x7f, 0x80, 0xff, b'-', b'\n', b' '])),
        4 => bytes[start..end].reverse(),
        _ => bytes[start..end].iter_mut().take(1).for_each(|byte| *byte ^= 1 << random.below(8)),
    }
}

/// Marsaglia's xorshift64: the same numbers in every run and on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
