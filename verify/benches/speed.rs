//! Prints how fast leaves are hashed beside the hash itself, and openssl's, and how long stage 1 takes
//! to believe a seal, all in one run.
//!
//! `cargo bench -p pintle-verify`. Aim: leaf hashing at 90 % of the raw hash or more (SPECIFICATION.md).

use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use pintle_verify::verity::{BLOCK, LeafHasher};
use pintle_verify::{
    Architecture, Digest, Expect, KeySet, Percent, Salt, Seal, SigningKey, Unverified,
};
use sha2::{Digest as _, Sha256};

/// As much as a small image, and far more than the caches.
const BLOCKS: usize = 64 << 20 >> BLOCK.ilog2();

/// Enough to be measured.
const SEALS: u32 = 200;

/// The best of so many rounds is one that the rest of the machine hardly disturbed.
const ROUNDS: usize = 15;

fn main() {
    let image = vec![0x5a_u8; BLOCKS * BLOCK];
    let (blocks, _) = image.as_chunks::<BLOCK>();
    let hasher = LeafHasher::new(&Salt::from_own([7; 32]));

    let (keys, seal) = keys_and_seal();

    let [raw, raw_by_block, leaves, belief] = best([
        &|| Sha256::digest(&image)[0],
        &|| each(blocks, |block| Sha256::digest(block)[0]),
        &|| each(blocks, |block| hasher.leaf(block)[0]),
        &|| (0..SEALS).fold(0, |sum, _| sum ^ believe(&keys, &seal)),
    ]);

    report("sha2, one stream", raw, raw);
    report("sha2, each 4096 bytes", raw_by_block, raw);
    report("leaves (salted)", leaves, raw);
    println!("{:24} {:8.0} µs", "key set and seal", belief.as_secs_f64() * 1e6 / f64::from(SEALS));
    match openssl() {
        Some(line) => println!("openssl speed -evp sha256 -bytes 4096 (1000 bytes/s): {line}"),
        None => println!("openssl is not installed; nothing to compare with"),
    }
}

/// Decodes a key set of one key and verifies a seal against it, as each boot does once.
fn believe(keys: &[u8], seal: &[u8]) -> u8 {
    let anything = Expect { image_id: None, architecture: None, floor: 0 };
    let keys = KeySet::from_bytes(keys).expect("the set is good");
    keys.verify(Unverified(seal), &anything).expect("the seal is good").sequence as u8
}

fn keys_and_seal() -> (Vec<u8>, Vec<u8>) {
    let key = SigningKey::generate(&[1; 32]);
    let keys = KeySet::new(vec![key.public()], 1).expect("one key is a set");
    let image_id = "kiosk".parse().expect("a good image id");
    let seal = Seal {
        salt: Salt::of_image_id(&image_id),
        image_id,
        architecture: Architecture::running(),
        version: "1.4.0".parse().expect("a good version"),
        sequence: 42,
        floor: 0,
        created: 1_750_000_000,
        best_before: None,
        rollout: Percent::ALL,
        image_size: 1 << 26,
        root_hash: Digest::of(b"root"),
        source: None,
        kernel: None,
        next_keys: None,
    };
    (keys.to_bytes(), seal.sign(&[key]).expect("a good seal"))
}

/// The shortest time of each of `works`, which take turns, so that a busy moment meets all of them.
fn best<const N: usize>(works: [&dyn Fn() -> u8; N]) -> [Duration; N] {
    let mut best = [Duration::MAX; N];
    for _ in 0..ROUNDS {
        for (best, work) in best.iter_mut().zip(works) {
            *best = time(work).min(*best);
        }
    }
    best
}

fn time(work: &dyn Fn() -> u8) -> Duration {
    let start = Instant::now();
    black_box(work());
    start.elapsed()
}

fn each(blocks: &[[u8; BLOCK]], hash: impl Fn(&[u8; BLOCK]) -> u8) -> u8 {
    blocks.iter().fold(0, |sum, block| sum ^ hash(block))
}

fn report(what: &str, took: Duration, baseline: Duration) {
    let megabytes = (BLOCKS * BLOCK) as f64 / 1e6;
    let speed = megabytes / took.as_secs_f64();
    let share = 100.0 * baseline.as_secs_f64() / took.as_secs_f64();
    println!("{what:24} {speed:8.0} MB/s {share:6.1} %");
}

fn openssl() -> Option<String> {
    let arguments = ["speed", "-evp", "sha256", "-bytes", "4096", "-seconds", "2"];
    let output = Command::new("openssl").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().last().map(str::to_owned)
}
