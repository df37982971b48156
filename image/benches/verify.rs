//! `pintle verify` beside the hash alone, on as many bytes with as many threads, and beside openssl's,
//! in one run. Speeds are those of a core, by processor time: other processes do not show in it.
//!
//! `cargo bench -p pintle-image --bench verify`. Aim: 90 % of the hash's speed or more
//! (SPECIFICATION.md).
#![forbid(unsafe_code)]

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use pintle_image::erofs::write::Layout;
use pintle_image::parallel;
use pintle_image::progress::Silent;
use pintle_image::release::Draft;
use pintle_image::spool::Spool;
use pintle_image::tree::{Body, Content, Inode, Tree};
use pintle_image::{release, verify};
use pintle_verify::{Architecture, Expect, ImageId, KeySet, Percent, Salt, Seal, SigningKey, Uuid};
use rustix::time::{ClockId, clock_gettime};
use sha2::{Digest, Sha256};
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Bytes of the image: what a small system has.
const SIZE: usize = 512 << 20;
/// Bytes hashed at a time, as verification does.
const STEP: usize = 256 << 10;
/// Odd, so that there is a median.
const ROUNDS: usize = 15;

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let key = SigningKey::generate(&[1; 32]);
    release_into(directory.path(), &key);
    let keys = KeySet::new(vec![key.public()], 1).expect("one key");
    let expect = Expect { image_id: None, architecture: None, floor: 0 };
    let verify = || {
        verify::verify(directory.path(), &keys, &expect, &Silent).expect("our own release");
    };
    verify();
    // They take turns, so that a busy moment meets all of them.
    let image = directory.path().join(release::IMAGE);
    let round = |_| [speed(hash_alone), speed(verify), openssl(), openssl_of(&image)];
    let rounds: Vec<[f64; 4]> = (0..ROUNDS).map(round).collect();
    let middle = |what: fn(&[f64; 4]) -> f64| median(rounds.iter().map(what));
    println!("medians of {ROUNDS} rounds of {SIZE} bytes, a core");
    println!("hash alone          {:>6.2} GB/s", middle(|[hash, ..]| *hash));
    println!("openssl speed       {:>6.2} GB/s", middle(|[_, _, openssl, _]| *openssl));
    println!("openssl dgst, file  {:>6.2} GB/s", middle(|[.., file]| *file));
    println!("pintle verify       {:>6.2} GB/s", middle(|[_, verify, ..]| *verify));
    println!("verify of hash      {:>6.2}", middle(|[hash, verify, ..]| verify / hash));
    println!("verify of speed     {:>6.2}", middle(|[_, verify, openssl, _]| verify / openssl));
    println!("verify of dgst      {:>6.2}", middle(|[_, verify, _, file]| verify / file));
}

/// As many bytes as the image has, out of each core's own cache.
fn hash_alone() {
    let steps = 0..SIZE / STEP;
    let hash = |buffer: &mut Vec<u8>, _| {
        black_box(Sha256::digest(buffer));
        Ok(())
    };
    parallel::for_each(steps, || vec![7; STEP], hash).expect("hashing cannot fail");
}

fn release_into(directory: &Path, key: &SigningKey) {
    let mut draft = Draft::within(directory).expect("a directory");
    let spool = Spool::within(directory).expect("a spool");
    let mut tree = Tree::new();
    let content = Content::append(&spool, &vec![7; SIZE]).expect("room");
    tree.insert(tree.root(), b"data", Inode::new(0o644, Body::File(content))).expect("a name");
    let image_id: ImageId = "bench".parse().expect("an id");
    let (salt, uuid) = (Salt::of_image_id(&image_id), Uuid::of_image_id(&image_id));
    let layout = Layout::of(&tree, *uuid.as_bytes()).expect("a layout");
    let hashes = draft.write_image((&layout, &spool), &salt, &Silent).expect("an image");
    draft.write_tree(&hashes, uuid).expect("a tree");
    let seal = Seal {
        image_id,
        architecture: Architecture::running(),
        version: "1".parse().expect("a version"),
        sequence: 1,
        floor: 0,
        created: 0,
        best_before: None,
        rollout: Percent::ALL,
        image_size: layout.blocks() * 4096,
        salt,
        root_hash: hashes.root(),
        source: None,
        kernel: None,
        next_keys: None,
    };
    let seal = seal.sign(std::slice::from_ref(key)).expect("a seal");
    draft.write_seal(&seal).expect("a seal");
    draft.publish().expect("a release");
}

/// GB/s of something that goes through all bytes.
fn speed(run: impl Fn()) -> f64 {
    let start = cpu_time();
    run();
    SIZE as f64 / (cpu_time() - start).as_secs_f64() / 1e9
}

fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(now).expect("processor time does not go backwards")
}

/// GB/s of openssl's sha256, as it measures itself.
fn openssl() -> f64 {
    let arguments = ["speed", "-evp", "sha256", "-bytes", "262144", "-seconds", "1"];
    let output = Command::new("openssl").args(arguments).output();
    let text = String::from_utf8(output.expect("openssl is installed").stdout);
    let text = text.expect("openssl writes text");
    let speed = text.trim_end().rsplit(' ').next().and_then(|word| word.strip_suffix('k'));
    let kilobytes: f64 = speed.and_then(|speed| speed.parse().ok()).expect("a speed at the end");
    kilobytes / 1e6
}

/// GB/s of openssl's sha256 over the image's file, which it has to read as verification does.
fn openssl_of(image: &Path) -> f64 {
    let start = children_time();
    let digested = Command::new("openssl").args(["dgst", "-sha256"]).arg(image).output();
    assert!(digested.expect("openssl is installed").status.success());
    SIZE as f64 / (children_time() - start).as_secs_f64() / 1e9
}

/// Processor time of all programs that were run.
fn children_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("this process may know");
    let times = [usage.user_time(), usage.system_time()];
    times.map(|time| Duration::from_micros(time.num_microseconds() as u64)).iter().sum()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
