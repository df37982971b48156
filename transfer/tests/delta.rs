//! Deltas: made, sent, applied; and those that lie.

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::ops::Range;

use pintle_transfer::delta::{Extent, Side, make};
use pintle_transfer::document::DeltaLayer;
use pintle_transfer::plan::Way;
use pintle_verify::verity::BLOCK;
use support::{Machine, Memory, Random, Release, blob_of, file_of, image, release, tree_of};

/// What has no compression in it but its own.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut random = Random(seed);
    (0..length).map(|_| (random.next() >> 32) as u8).collect()
}

fn file(path: &str, blocks: Range<u64>) -> Extent {
    Extent { blocks, path: path.into() }
}

/// What makes `new` out of `old`.
fn delta(old: (&[u8], &[Extent]), new: (&[u8], &[Extent])) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let side = |name: &str, image: &[u8]| {
        (file_of(&folder.path().join(name), image), tree_of(image).leaves().to_vec())
    };
    let (old_side, new_side) = (side("old", old.0), side("new", new.0));
    let side = |side: &'_ (File, Vec<_>), files| {
        let (image, leaves) = side;
        // Lives as long as the test, which ends soon.
        Side {
            image: Box::leak(Box::new(image.try_clone().unwrap())),
            leaves: Box::leak(leaves.clone().into_boxed_slice()),
            files,
        }
    };
    let mut delta = Vec::new();
    make(&side(&old_side, old.1), &side(&new_side, new.1), &mut delta, &|_| {}).unwrap();
    delta
}

/// A release of `new` with this delta from `old`.
fn with_delta(old: &[u8], new: Vec<u8>, delta: Vec<u8>) -> Release {
    let mut release = release(new);
    let blob = blob_of(&delta);
    release.blobs.insert(blob.digest, delta);
    let from = tree_of(old).root();
    release.manifest.deltas = vec![DeltaLayer { blob, from, instead_of: Some(u64::MAX) }];
    release
}

fn comes_by_delta(old: &[u8], new: Vec<u8>, delta: Vec<u8>) {
    let release = with_delta(old, new, delta);
    let machine = Machine::with(&[old]);
    let mut blobs = Memory::of(&release.blobs);
    let received = machine.receive(&release, &mut blobs).unwrap();
    assert_eq!((received.plan.way, received.delta_failed), (Way::Delta(0), None));
    assert_eq!(blobs.requests.len(), 1);
    machine.has(&release);
}

/// Pieces of the older image in another order, with bytes changed, added and removed, as whole blocks again.
fn edited(old: &[u8], random: &mut Random) -> Vec<u8> {
    let mut new = Vec::new();
    for _ in 0..random.below(12) {
        let from = random.below(old.len() as u64) as usize;
        let to = from + random.below((old.len() - from) as u64 + 1) as usize;
        new.extend_from_slice(&old[from..to]);
        new.extend(noise(random.next() | 1, random.below(5000) as usize));
    }
    for _ in 0..random.below(50) {
        let at = random.below(new.len() as u64) as usize;
        if let Some(byte) = new.get_mut(at) {
            *byte = byte.wrapping_add(random.next() as u8);
        }
    }
    new.resize(new.len().next_multiple_of(BLOCK).max(BLOCK), 0);
    new
}

#[test]
fn whatever_became_of_an_image_its_delta_makes_it() {
    let mut random = Random(7);
    for round in 0..60 {
        let old = noise(round + 1, BLOCK * (1 + random.below(60) as usize));
        let new = edited(&old, &mut random);
        let cut = |image: &[u8]| {
            let blocks = (image.len() / BLOCK) as u64;
            vec![file("/a", 0..blocks / 3), file("/b", blocks / 2..blocks)]
        };
        for (files_of_old, files_of_new) in [(vec![], vec![]), (cut(&old), cut(&new))] {
            let delta = delta((&old, &files_of_old), (&new, &files_of_new));
            comes_by_delta(&old, new.clone(), delta);
        }
    }
}

/// As where the disk under it fails.
#[test]
fn where_the_older_image_cannot_be_read_blocks_come() {
    let (old, new) = (image(1..=40), image(20..=60));
    let delta = delta((&old, &[]), (&new, &[]));
    let release = with_delta(&old, new, delta);
    let mut machine = Machine::with(&[&old]);
    let path = machine.folder.path().join("failing");
    let failing = File::options().write(true).create_new(true).open(path).unwrap();
    failing.set_len(old.len() as u64).unwrap();
    machine.sources[0].image = failing;
    let received = machine.receive(&release, &mut Memory::of(&release.blobs)).unwrap();
    machine.has(&release);
    assert!(received.delta_failed.unwrap().contains("its older image cannot be read"));
}

#[test]
fn a_delta_costs_what_is_new() {
    let old = noise(1, 600 * BLOCK);
    let files = [file("/a", 0..600)];
    let mut inserted = old.clone();
    inserted.splice(1_000_000..1_000_000, noise(2, 3000));
    inserted.resize(601 * BLOCK, 0);
    let mut relocated = old.clone();
    relocated.iter_mut().step_by(4001).for_each(|byte| *byte = byte.wrapping_add(16));
    for (new, most) in [(old.clone(), 64), (inserted, 3000 + 128), (relocated, 4000)] {
        let blocks = (new.len() / BLOCK) as u64;
        let delta = delta((&old, &files), (&new, &[file("/a", 0..blocks)]));
        assert!(delta.len() < most, "{} of {most}", delta.len());
        comes_by_delta(&old, new, delta);
    }
}

#[test]
fn equal_images_have_equal_deltas() {
    let old = noise(1, 300 * BLOCK);
    let new = edited(&old, &mut Random(3));
    let files = |blocks: usize| [file("/a", 0..5), file("/b", 5..blocks as u64)];
    let once = || delta((&old, &files(300)), (&new, &files(new.len() / BLOCK)));
    assert_eq!(once(), once());
}

/// A delta with this content, as it stands.
fn written(content: &[u8], window_log: u32) -> Vec<u8> {
    let mut out = zstd::Encoder::new(Vec::new(), 3).unwrap();
    out.window_log(window_log).unwrap();
    out.write_all(content).unwrap();
    out.finish().unwrap()
}

const MAGIC: &[u8] = b"pintle delta v1\n";

fn section(operations: &[u8], added: &[u8], new: &[u8]) -> Vec<u8> {
    let sizes = [operations, added, new].map(|part| u8::try_from(part.len()).unwrap());
    [&sizes, operations, added, new].concat()
}

#[test]
fn deltas_that_lie_are_left_for_the_blocks() {
    let (old, new) = (image(1..=40), image(20..=60));
    let good = delta((&old, &[]), (&new, &[]));
    let of = |sections: &[Vec<u8>]| written(&[MAGIC, &sections.concat()].concat(), 20);
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 0x40;
    let numbers = |numbers: &[u8]| section(numbers, &[], &[]);
    for (name, bad, expected) in [
        ("no zstd", vec![7; 100], "read"),
        ("cut", good[..good.len() / 2].to_vec(), "read"),
        ("another version", written(b"pintle delta v2\n", 20), "version"),
        ("nothing in it", written(MAGIC, 20), "read"),
        ("an idle section", of(&[numbers(&[])]), "does nothing"),
        ("an operation without an end", of(&[numbers(&[0x80])]), "cut"),
        ("no number", of(&[vec![0xff; 12]]), "no number"),
        ("a huge section", of(&[vec![0xff, 0xff, 0xff, 0x7f]]), "too large"),
        ("before the older image", of(&[numbers(&[0, 0, 0, 1])]), "beyond"),
        ("behind the older image", of(&[numbers(&[0, 0, 0, 0xff, 0xff, 0x7f])]), "beyond"),
        ("past its end", of(&[numbers(&[0x81, 0x80, 0x0a, 0, 0, 0])]), "does not have"),
        ("more than the image", of(&[numbers(&[0xff, 0xff, 0xff, 0x7f, 0, 0, 0])]), "more than"),
        (
            "overflowing",
            of(&[[vec![22, 0, 0], vec![0xff; 9], vec![1], vec![0xff; 9], vec![1, 0, 0]].concat()]),
            "more than",
        ),
        ("without what it adds", of(&[numbers(&[0, 5, 0, 0])]), "cut"),
        ("without what is new", of(&[numbers(&[0, 0, 5, 0])]), "cut"),
        ("with what nobody asks for", of(&[section(&[1, 0, 0, 0], &[1], &[])]), "nobody"),
        (
            "another image",
            of(&[
                numbers(&[0x80, 0x80, 0x0a, 0, 0, 0]),
                numbers(&[0, 0, 0, 1]),
                numbers(&[0x80, 0x20, 0, 0, 0]),
            ]),
            "",
        ),
        ("a large window", written(MAGIC, 27), "read"),
        ("a bomb", written(&[MAGIC, &vec![0; 64 << 20]].concat(), 20), "does nothing"),
        ("something behind it", [good.clone(), good.clone()].concat(), ""),
    ] {
        let release = with_delta(&old, new.clone(), bad);
        let machine = Machine::with(&[&old]);
        let received = machine.receive(&release, &mut Memory::of(&release.blobs)).unwrap();
        machine.has(&release);
        if name == "something behind it" {
            // Whatever follows the frame is not looked at.
            continue;
        }
        let failed = received.delta_failed.unwrap_or_else(|| panic!("{name} was applied"));
        assert!(failed.contains(expected), "{name}: {failed}");
    }
}

#[test]
fn a_damaged_older_image_is_left_for_the_blocks() {
    let (old, new) = (image(1..=400), image((1..=399).chain([1000])));
    let release = with_delta(&old, new.clone(), delta((&old, &[]), (&new, &[])));
    let machine = Machine::with(&[&old]);
    let path = machine.folder.path().join("0.img");
    let mut bytes = fs::read(&path).unwrap();
    bytes[5 * BLOCK] ^= 1;
    fs::write(&path, bytes).unwrap();
    let mut blobs = Memory::of(&release.blobs);
    let received = machine.receive(&release, &mut blobs).unwrap();
    machine.has(&release);
    assert!(received.delta_failed.is_some_and(|cause| cause.contains("another image")));
    assert_eq!(received.plan.way, Way::Blocks);
}
