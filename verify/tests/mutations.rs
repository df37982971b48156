//! The invariants of the fuzz targets, on a fixed number of mutations of good inputs.

mod invariants;

use std::slice;

use invariants::{
    SEALED_TREE, Verdict, key, key_set_has_one_encoding, pem_key_stays_the_same_key, seal,
    tree_file_is_the_one_of_its_seal, what_is_believed_was_signed,
};
use pintle_verify::{KeySet, PublicKey, SigningKey};

/// Each kind of input gets so many mutations; they are the same in every run.
const MUTATIONS: usize = 20_000;

#[test]
fn only_what_was_signed_is_believed() {
    // The signatures of the two strangers are what may change with no harm.
    let strangers = [key(), SigningKey::generate(&[8; 32]), SigningKey::generate(&[9; 32])];
    let seeds = [seal().sign(&[key()]).unwrap(), seal().sign(&strangers).unwrap()];
    run(&seeds, what_is_believed_was_signed);
}

#[test]
fn a_key_set_has_one_encoding() {
    let numbers = (1..=16).map(|number| SigningKey::generate(&[number; 32]).public());
    let sixteen: Vec<PublicKey> = numbers.collect();
    let seeds =
        [1, 2, 16].map(|count| KeySet::new(sixteen[..count].to_vec(), 1).unwrap().to_bytes());
    run(&seeds, key_set_has_one_encoding);
}

#[test]
fn a_tree_file_is_the_one_of_its_seal() {
    run(slice::from_ref(&SEALED_TREE.1), tree_file_is_the_one_of_its_seal);
}

#[test]
fn a_key_in_pem_stays_the_same_key() {
    let public = key().public().to_pem().unwrap().into_bytes();
    let private = key().to_pem().unwrap().as_bytes().to_vec();
    run(&[public, private], pem_key_stays_the_same_key);
}

/// Both verdicts must occur, else the mutations would show little.
fn run(seeds: &[Vec<u8>], invariant: fn(&[u8]) -> Verdict) {
    seeds.iter().for_each(|seed| assert_eq!(invariant(seed), Verdict::Accepted));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let verdicts = (0..MUTATIONS).map(|_| invariant(&mutation(seeds, &mut random)));
    let (accepted, refused): (Vec<_>, Vec<_>) = verdicts.partition(|v| *v == Verdict::Accepted);
    let counts = [accepted.len(), refused.len()];
    assert!(counts.iter().all(|count| *count >= MUTATIONS / 200), "{counts:?}");
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
