//! Prints how fast leaves are hashed beside the hash itself, and openssl's, all in one run.
//!
//! `cargo bench -p pintle-verify`. Aim: leaf hashing at 90 % of the raw hash or more (SPECIFICATION.md).

use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use pintle_verify::Salt;
use pintle_verify::verity::{BLOCK, LeafHasher};
use sha2::{Digest as _, Sha256};

/// As much as a small image, and far more than the caches.
const BLOCKS: usize = 64 << 20 >> BLOCK.ilog2();

/// The best of several rounds is the one that the rest of the machine disturbed least.
const ROUNDS: usize = 7;

fn main() {
    let image = vec![0x5a_u8; BLOCKS * BLOCK];
    let (blocks, _) = image.as_chunks::<BLOCK>();
    let hasher = LeafHasher::new(&Salt::from_own([7; 32]));

    let raw = best(|| Sha256::digest(&image)[0]);
    let raw_by_block = best(|| each(blocks, |block| Sha256::digest(block)[0]));
    let leaves = best(|| each(blocks, |block| hasher.leaf(block)[0]));

    report("sha2, one stream", raw, raw);
    report("sha2, each 4096 bytes", raw_by_block, raw);
    report("leaves (salted)", leaves, raw);
    match openssl() {
        Some(line) => println!("openssl speed -evp sha256 -bytes 4096 (1000 bytes/s): {line}"),
        None => println!("openssl is not installed; nothing to compare with"),
    }
}

fn best(work: impl Fn() -> u8) -> Duration {
    let time = |_| {
        let start = Instant::now();
        black_box(work());
        start.elapsed()
    };
    (0..ROUNDS).map(time).min().unwrap_or_default()
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
