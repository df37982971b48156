//! `pintle verify` beside the hash alone, on the same bytes with the same threads in one run.
//!
//! `cargo bench -p pintle-image --bench verify`
#![forbid(unsafe_code)]

use pintle_image::erofs::write::Layout;
use pintle_image::parallel;
use pintle_image::progress::Silent;
use pintle_image::release::Draft;
use pintle_image::spool::Spool;
use pintle_image::tree::{Body, Content, Inode, Tree};
use pintle_image::verify;
use pintle_verify::{Architecture, Expect, ImageId, KeySet, Percent, Salt, Seal, SigningKey, Uuid};
use sha2::{Digest, Sha256};
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes of the image: what a small system has.
const SIZE: usize = 512 << 20;
/// Bytes hashed at a time, as verification does.
const STEP: usize = 256 << 10;
/// Runs of which the best counts: whatever disturbs one only makes it slower.
const RUNS: usize = 7;

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let key = SigningKey::generate(&[1; 32]);
    release_into(directory.path(), &key);
    let keys = KeySet::new(vec![key.public()], 1).expect("one key");
    let expect = Expect { image_id: None, architecture: None, floor: 0 };
    let verify = best(|| {
        verify::verify(directory.path(), &keys, &expect, &Silent).expect("our own release");
    });
    let hash = best(hash_alone);
    println!("hash alone    {:>6.2} GB/s", speed(hash));
    println!("pintle verify {:>6.2} GB/s", speed(verify));
    println!("ratio         {:>6.2}", hash.as_secs_f64() / verify.as_secs_f64());
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

fn best(mut run: impl FnMut()) -> Duration {
    let time = |_| {
        let start = Instant::now();
        run();
        start.elapsed()
    };
    (0..RUNS).map(time).min().unwrap_or_default()
}

fn speed(time: Duration) -> f64 {
    SIZE as f64 / time.as_secs_f64() / 1e9
}
