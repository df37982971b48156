//! Releases: written, held against veritysetup, verified, and tampered with.

use crate::written::run;
use crate::zoo::Zoo;
use pintle_image::erofs::write::Layout;
use pintle_image::progress::Silent;
use pintle_image::release::{self, Draft};
use pintle_image::verify;
use pintle_verify::{Architecture, Expect, ImageId, KeySet, Percent, Salt, Seal, SigningKey, Uuid};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

const ANYTHING: Expect = Expect { image_id: None, architecture: None, floor: 0 };

/// A release of a whole zoo.
fn released() -> TempDir {
    let directory = TempDir::new().unwrap();
    release_into(directory.path());
    directory
}

fn release_into(directory: &Path) -> Seal {
    let zoo = Zoo::full();
    let image_id: ImageId = "zoo".parse().unwrap();
    let (salt, uuid) = (Salt::of_image_id(&image_id), Uuid::of_image_id(&image_id));
    let layout = Layout::of(&zoo.tree, *uuid.as_bytes()).unwrap();
    let mut draft = Draft::within(directory).unwrap();
    let tree = draft.write_image((&layout, &zoo.spool), &salt, &Silent).unwrap();
    draft.write_tree(&tree, uuid).unwrap();
    let seal = Seal {
        image_id,
        architecture: Architecture::X86_64,
        version: "1".parse().unwrap(),
        sequence: 1,
        floor: 0,
        created: 0,
        best_before: None,
        rollout: Percent::ALL,
        image_size: layout.blocks() * 4096,
        salt,
        root_hash: tree.root(),
        source: None,
        kernel: None,
        next_keys: None,
    };
    draft.write_seal(&seal.sign(&[key()]).unwrap()).unwrap();
    draft.publish().unwrap();
    seal
}

fn key() -> SigningKey {
    SigningKey::generate(&[42; 32])
}

fn verify(directory: &Path) -> Result<(), String> {
    let keys = KeySet::new(vec![key().public()], 1).unwrap();
    let verified = verify::verify(directory, &keys, &ANYTHING, &Silent);
    verified.map(drop).map_err(|error| error.to_string())
}

#[test]
fn veritysetup_accepts_the_root_hash() {
    let directory = TempDir::new().unwrap();
    let seal = release_into(directory.path());
    run(Command::new("veritysetup").current_dir(directory.path()).args([
        "verify",
        release::IMAGE,
        release::TREE,
        &seal.root_hash.hex(),
    ]));
}

#[test]
fn veritysetup_makes_the_same_tree() {
    let directory = TempDir::new().unwrap();
    let seal = release_into(directory.path());
    let uuid = Uuid::of_image_id(&seal.image_id);
    run(Command::new("veritysetup").current_dir(directory.path()).args([
        "format",
        release::IMAGE,
        "other.tree",
        &format!("--salt={}", seal.salt.hex()),
        &format!("--uuid={uuid}"),
    ]));
    let read = |name| fs::read(directory.path().join(name)).unwrap();
    assert!(read(release::TREE) == read("other.tree"));
}

#[test]
fn a_second_run_gives_the_same_files_and_leaves_no_others() {
    let directory = released();
    let read = |name: &str| fs::read(directory.path().join(name)).unwrap();
    let names = [release::IMAGE, release::TREE, release::SEAL];
    let first = names.map(read);
    release_into(directory.path());
    assert!(names.map(read) == first);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), names.len());
}

#[test]
fn a_release_is_verified() {
    verify(released().path()).unwrap();
}

#[test]
fn a_flipped_bit_anywhere_is_found() {
    let directory = released();
    for (name, cause) in [
        (release::IMAGE, "is not the sealed one"),
        (release::TREE, "verify root.tree"),
        (release::SEAL, "verify seal"),
    ] {
        let path = directory.path().join(name);
        let size = fs::metadata(&path).unwrap().len();
        for at in [0, size / 3, size / 2, size - 1] {
            flip(&path, at);
            let refusal = verify(directory.path()).unwrap_err();
            assert!(refusal.contains(cause), "byte {at} of {name}: {refusal}");
            flip(&path, at);
        }
    }
    verify(directory.path()).unwrap();
}

#[test]
fn the_place_of_a_flipped_bit_is_told() {
    let directory = released();
    flip(&directory.path().join(release::IMAGE), 3 * 4096 + 17);
    assert_eq!(
        verify(directory.path()).unwrap_err(),
        "cannot verify root.img: block 3 (byte 12288) is not the sealed one"
    );
}

#[test]
fn a_file_cut_short_or_grown_is_found() {
    for name in [release::IMAGE, release::TREE, release::SEAL] {
        for change in [-4096, -1, 1, 4096] {
            let directory = released();
            let file = File::options().write(true).open(directory.path().join(name)).unwrap();
            let size = file.metadata().unwrap().len();
            file.set_len(size.saturating_add_signed(change)).unwrap();
            assert!(verify(directory.path()).is_err(), "{name} by {change}");
        }
    }
}

#[test]
fn a_missing_file_is_named() {
    for name in [release::IMAGE, release::TREE, release::SEAL] {
        let directory = released();
        fs::remove_file(directory.path().join(name)).unwrap();
        let refusal = verify(directory.path()).unwrap_err();
        assert!(refusal.contains(name), "{refusal}");
    }
}

fn flip(path: &Path, at: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}
