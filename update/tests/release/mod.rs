//! Releases made on the spot: small images of noise, real trees, real seals.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

use pintle_update::EntryFiles;
use pintle_verify::verity::{BLOCK, LeafHasher, Tree};
use pintle_verify::{
    Architecture, Digest, Expect, KeySet, Percent, Salt, Seal, SigningKey, Unverified, Uuid,
    Verified,
};
use tempfile::TempDir;

/// A directory as `pintle build` writes it.
pub(crate) struct Release {
    directory: TempDir,
    pub(crate) seal: Seal,
}

impl Release {
    /// An image of this many blocks; its content follows from the sequence.
    pub(crate) fn new(sequence: u64, version: &str, blocks: usize) -> Self {
        let image = noise(sequence, blocks * BLOCK);
        let tree = tree_of(&image);
        let seal = seal(sequence, version, image.len() as u64, tree.root());
        let this = Self { directory: tempfile::tempdir().unwrap(), seal };
        let mut tree_file = Vec::new();
        tree.write(&mut tree_file, Uuid::of_image_id(&this.seal.image_id)).unwrap();
        fs::write(this.path().join("root.img"), image).unwrap();
        fs::write(this.path().join("root.tree"), tree_file).unwrap();
        this.sign();
        this
    }

    /// Changes the seal, and signs it again.
    pub(crate) fn reseal(&mut self, change: impl FnOnce(&mut Seal)) {
        change(&mut self.seal);
        self.sign();
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Its files, and its seal as the machine believes it.
    pub(crate) fn open(&self) -> (EntryFiles, Verified<Seal>) {
        let directory = fs::File::open(self.path()).unwrap();
        let files = EntryFiles::open_release(directory.as_fd()).unwrap();
        let seal = believe(&files.seal);
        (files, seal)
    }

    fn sign(&self) {
        fs::write(self.path().join("seal"), self.seal.sign(&[key()]).unwrap()).unwrap();
    }
}

/// Verifies a seal file with the test's key.
pub(crate) fn believe(seal: &[u8]) -> Verified<Seal> {
    let keys = KeySet::new(vec![key().public()], 1).unwrap();
    let expect = Expect { image_id: None, architecture: None, floor: 0 };
    keys.verify(Unverified(seal), &expect).unwrap()
}

fn key() -> SigningKey {
    SigningKey::generate(&[7; 32])
}

fn seal(sequence: u64, version: &str, image_size: u64, root_hash: Digest) -> Seal {
    Seal {
        image_id: "test".parse().unwrap(),
        architecture: Architecture::X86_64,
        version: version.parse().unwrap(),
        sequence,
        floor: 0,
        created: 1_700_000_000 + sequence,
        best_before: None,
        rollout: Percent::ALL,
        image_size,
        salt: salt(),
        root_hash,
        source: None,
        kernel: None,
        next_keys: None,
    }
}

fn salt() -> Salt {
    Salt::of_image_id(&"test".parse().unwrap())
}

fn tree_of(image: &[u8]) -> Tree {
    let hasher = LeafHasher::new(&salt());
    let leaves = image.as_chunks().0.iter().map(|block| hasher.leaf(block)).collect();
    Tree::from_leaves(salt(), leaves).unwrap()
}

/// No two blocks of any two images are equal.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let words = (0..length as u64 / 8).map(|index| mix(seed << 32 | index));
    words.flat_map(u64::to_le_bytes).collect()
}

/// The finaliser of SplitMix64.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}
