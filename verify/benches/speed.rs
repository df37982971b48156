//! Prints how fast leaves are hashed beside the hash itself and openssl's, and how long stage 1 takes
//! to believe a seal, all in one run.
//!
//! `cargo bench -p pintle-verify`. Aim: leaf hashing at 90 % of the raw hash or more (SPECIFICATION.md).

use std::hint::black_box;
use std::process::Command;
use std::time::Duration;

use pintle_verify::verity::{BLOCK, LeafHasher};
use pintle_verify::{
    Architecture, Digest, Expect, KeySet, Percent, Salt, Seal, SigningKey, Unverified,
};
use rustix::time::{ClockId, clock_gettime};
use sha2::{Digest as _, Sha256};

/// As much as a small image, and far more than the caches.
const BLOCKS: usize = 64 << 20 >> BLOCK.ilog2();

/// Enough to be measured.
const SEALS: u32 = 200;

/// Odd, so that there is a median.
const ROUNDS: usize = 11;

fn main() {
    let image = vec![0x5a_u8; BLOCKS * BLOCK];
    let (blocks, _) = image.as_chunks::<BLOCK>();
    let hasher = LeafHasher::new(&Salt::from_own([7; 32]));
    let (keys, seal) = keys_and_seal();

    let times = take_turns([
        &|| time(|| each(blocks, |block| Sha256::digest(block)[0])),
        &|| time(|| Sha256::digest(&image)[0]),
        &|| time(|| each(blocks, |block| hasher.leaf(block)[0])),
        &openssl,
        &|| time(|| (0..SEALS).fold(0, |sum, _| sum ^ believe(&keys, &seal))),
    ]);
    let [sha2, stream, leaves, openssl, belief] = &times;
    println!("medians of {ROUNDS}      MB/s a core   of sha2   of openssl");
    let report = |what, took| report(what, took, (sha2, openssl));
    report("sha2, each 4096 bytes", sha2);
    report("sha2, one stream", stream);
    report("leaves (salted)", leaves);
    report("openssl, each 4096 bytes", openssl);
    let belief = median(belief.iter().map(Duration::as_secs_f64)) / f64::from(SEALS);
    println!("{:24} {:8.0} µs", "key set and seal", belief * 1e6);
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

/// The times of each of `works`, which take turns, so that a busy moment meets all of them.
fn take_turns<const N: usize>(works: [&dyn Fn() -> Duration; N]) -> [Vec<Duration>; N] {
    let mut times = [const { Vec::new() }; N];
    for _ in 0..ROUNDS {
        for (times, work) in times.iter_mut().zip(works) {
            times.push(work());
        }
    }
    times
}

/// Processor time, as openssl measures its own: other processes do not show in it.
fn time(work: impl Fn() -> u8) -> Duration {
    let start = cpu_time();
    black_box(work());
    cpu_time() - start
}

fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(now).expect("processor time does not go backwards")
}

fn each(blocks: &[[u8; BLOCK]], hash: impl Fn(&[u8; BLOCK]) -> u8) -> u8 {
    blocks.iter().fold(0, |sum, block| sum ^ hash(block))
}

/// The shares are medians of the rounds' own, in which both met the same noise.
fn report(what: &str, took: &[Duration], (sha2, openssl): (&[Duration], &[Duration])) {
    let speed = median(took.iter().map(|took| (BLOCKS * BLOCK) as f64 / 1e6 / took.as_secs_f64()));
    let share = |of: &[Duration]| {
        100.0 * median(of.iter().zip(took).map(|(of, took)| of.as_secs_f64() / took.as_secs_f64()))
    };
    println!("{what:24} {speed:8.0} {:7.1} % {:10.1} %", share(sha2), share(openssl));
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// How long openssl would take for as many bytes, from how many it hashes in a second.
fn openssl() -> Duration {
    let arguments = ["speed", "-evp", "sha256", "-bytes", "4096", "-seconds", "1"];
    let output = Command::new("openssl").args(arguments).output().expect("openssl is installed");
    let text = String::from_utf8(output.stdout).expect("openssl writes text");
    let speed = text.trim_end().rsplit(' ').next().and_then(|word| word.strip_suffix('k'));
    let kilobytes: f64 = speed.and_then(|speed| speed.parse().ok()).expect("a speed at the end");
    Duration::from_secs_f64((BLOCKS * BLOCK) as f64 / (kilobytes * 1000.0))
}
