//! What must hold for any bytes at all. The fuzz targets (fuzz/fuzz_targets/verify_*.rs) and the
//! tests in mutations.rs run the same functions.

use std::sync::LazyLock;

use pintle_verify::verity::{BLOCK, Superblock, Tree, TreeFile};
use pintle_verify::{
    Architecture, Digest, Expect, KeySet, Percent, PublicKey, Salt, Seal, SigningKey, Unverified,
    Uuid, Verified, peek,
};

/// Whether the bytes were taken for what they claim to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted,
    Refused,
}

/// What is believed was signed, to the letter: a machine that trusts one key believes only what
/// that key signs to the same signature again. And what is readable at all says the same when it is written
/// again.
pub(crate) fn what_is_believed_was_signed(bytes: &[u8]) -> Verdict {
    let believed = TRUSTED.verify(Unverified(bytes), &ANYTHING);
    if let Ok(seal) = peek(bytes) {
        let again = seal.sign(&[key()]).unwrap();
        assert_eq!(peek(&again).unwrap(), seal);
        assert!(believed.is_err() || contains(bytes, signature(&again)));
    }
    verdict(believed)
}

/// A key set has one encoding.
pub(crate) fn key_set_has_one_encoding(bytes: &[u8]) -> Verdict {
    let set = KeySet::from_bytes(bytes);
    if let Ok(set) = &set {
        assert_eq!(set.to_bytes(), bytes);
        assert!((1..=set.keys().len()).contains(&set.threshold().into()));
    }
    verdict(set)
}

/// A superblock has one encoding, and a tree file of a seal is that one file.
pub(crate) fn tree_file_is_the_one_of_its_seal(bytes: &[u8]) -> Verdict {
    if let Some(block) = bytes.first_chunk()
        && let Some(superblock) = Superblock::parse(block)
    {
        assert_eq!(superblock.encode(), *block);
    }
    let (seal, file) = &*SEALED_TREE;
    let opened = TreeFile::open(bytes, seal);
    assert_eq!(opened.is_ok(), bytes == file);
    verdict(opened)
}

/// A key that is read from PEM is the same key when it is written and read again.
pub(crate) fn pem_key_stays_the_same_key(bytes: &[u8]) -> Verdict {
    let Ok(text) = str::from_utf8(bytes) else { return Verdict::Refused };
    let public = PublicKey::from_pem(text);
    if let Ok(key) = &public {
        assert_eq!(PublicKey::from_pem(&key.to_pem().unwrap()), Ok(key.clone()));
    }
    let private = SigningKey::from_pem(text);
    if let Ok(key) = &private {
        let again = SigningKey::from_pem(&key.to_pem().unwrap()).unwrap();
        assert_eq!(again.public(), key.public());
    }
    verdict(public.map(drop).or(private.map(drop)))
}

/// The seal and the content of `root.tree` of an image of two blocks.
pub(crate) static SEALED_TREE: LazyLock<(Verified<Seal>, Vec<u8>)> = LazyLock::new(|| {
    let tree = Tree::from_leaves(seal().salt, vec![[1; 32], [2; 32]]).unwrap();
    let mut file = Vec::new();
    tree.write(&mut file, Uuid::of_image_id(&seal().image_id)).unwrap();
    let seal = Seal { root_hash: tree.root(), ..seal() }.sign(&[key()]).unwrap();
    (TRUSTED.verify(Unverified(&seal), &ANYTHING).unwrap(), file)
});

pub(crate) fn key() -> SigningKey {
    SigningKey::generate(&[1; 32])
}

pub(crate) fn seal() -> Seal {
    let image_id = "kiosk".parse().unwrap();
    Seal {
        salt: Salt::of_image_id(&image_id),
        image_id,
        architecture: Architecture::X86_64,
        version: "1.4.0".parse().unwrap(),
        sequence: 42,
        floor: 7,
        created: 1_750_000_000,
        best_before: Some(1_760_000_000),
        rollout: Percent::ALL,
        image_size: 2 * BLOCK as u64,
        root_hash: Digest::of(b"root"),
        source: None,
        kernel: None,
        next_keys: Some(TRUSTED.clone()),
    }
}

static TRUSTED: LazyLock<KeySet> = LazyLock::new(|| KeySet::new(vec![key().public()], 1).unwrap());

const ANYTHING: Expect = Expect { image_id: None, architecture: None, floor: 0 };

fn signature(file: &[u8]) -> &[u8] {
    file.last_chunk::<64>().unwrap()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn verdict<T, E>(result: Result<T, E>) -> Verdict {
    if result.is_ok() { Verdict::Accepted } else { Verdict::Refused }
}
