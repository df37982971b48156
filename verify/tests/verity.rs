//! The tree against the tools that everybody else uses.

mod support;

use std::fs;
use std::path::Path;

use pintle_verify::verity::{BLOCK, LeafHasher, Superblock, Tree, TreeFile, fsverity_digest};
use pintle_verify::{Error, Salt, Seal, Unverified, Uuid, Verified};
use support::{ANYTHING, key_set, keys, plain_seal, run};
use tempfile::TempDir;

/// Around each size where the tree gets another block or another level.
const SIZES: [usize; 7] = [1, 2, 127, 128, 129, 256, 128 * 128 + 1];

#[test]
fn tree_file_is_veritysetups_to_the_byte() {
    for blocks in SIZES {
        let files = Files::of_image(blocks);
        let theirs = files.path("theirs.tree");
        let printed = run(
            "veritysetup",
            &[
                "format",
                "--salt",
                &salt().hex(),
                "--uuid",
                &uuid().to_string(),
                &files.image,
                &theirs,
            ],
        );
        let tree = tree(&files.image);
        assert!(printed.contains(&tree.root().hex()), "{blocks} blocks: {printed}");
        assert_eq!(file_of(&tree), fs::read(&theirs).unwrap(), "{blocks} blocks");
    }
}

#[test]
fn veritysetup_verifies_what_is_written_here() {
    for blocks in SIZES {
        let files = Files::of_image(blocks);
        let tree = tree(&files.image);
        let ours = files.path("ours.tree");
        fs::write(&ours, file_of(&tree)).unwrap();
        run("veritysetup", &["verify", &files.image, &ours, &tree.root().hex()]);
    }
}

#[test]
fn fsverity_has_the_same_tree_and_the_digest_that_follows_from_it() {
    for blocks in SIZES {
        let files = Files::of_image(blocks);
        let merkle = files.path("merkle");
        let own_salt = format!("--salt={}", &salt().hex()[..64]);
        let out = format!("--out-merkle-tree={merkle}");
        let printed = run("fsverity", &["digest", "--compact", &own_salt, &out, &files.image]);

        let tree = tree(&files.image);
        let digest = fsverity_digest(&tree.root(), &salt(), (blocks * BLOCK) as u64);
        assert_eq!(printed.trim(), digest.hex(), "{blocks} blocks");
        assert_eq!(fs::read(&merkle).unwrap(), file_of(&tree)[BLOCK..], "{blocks} blocks");
    }
}

#[test]
fn leaves_of_a_tree_file_are_the_images() {
    for blocks in SIZES {
        let tree = Tree::from_leaves(salt(), leaves(&image(blocks))).unwrap();
        let (file, seal) = (file_of(&tree), sealed(&tree));
        let opened = TreeFile::open(&file, &seal).unwrap();
        assert_eq!(opened.leaves(), tree.leaves(), "{blocks} blocks");
        assert_eq!(file.len() as u64, tree.geometry().tree_size());
    }
}

#[test]
fn every_flipped_bit_of_a_tree_file_is_refused() {
    let tree = Tree::from_leaves(salt(), leaves(&image(2))).unwrap();
    let (file, seal) = (file_of(&tree), sealed(&tree));
    for bit in 0..file.len() * 8 {
        let mut flipped = file.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(TreeFile::open(&flipped, &seal).is_err(), "bit {bit}");
    }
}

#[test]
fn flipped_byte_at_every_level_is_refused() {
    let tree = Tree::from_leaves(salt(), leaves(&image(129 * 128))).unwrap();
    let (mut file, seal) = (file_of(&tree), sealed(&tree));
    for block in 0..file.len() / BLOCK {
        file[block * BLOCK + 40] ^= 1;
        assert!(TreeFile::open(&file, &seal).is_err(), "block {block}");
        file[block * BLOCK + 40] ^= 1;
    }
    assert!(TreeFile::open(&file, &seal).is_ok());
}

#[test]
fn tree_file_of_another_size_is_refused() {
    let tree = Tree::from_leaves(salt(), leaves(&image(129))).unwrap();
    let (file, seal) = (file_of(&tree), sealed(&tree));
    let wrong_size = Error::Tree("its size is not the one of the image's tree");
    for length in [0, 1, 512, BLOCK, file.len() - BLOCK, file.len() - 1] {
        assert_eq!(
            TreeFile::open(&file[..length], &seal).unwrap_err(),
            wrong_size,
            "{length} bytes"
        );
    }
    let grown = [file.as_slice(), &[0; BLOCK]].concat();
    assert_eq!(TreeFile::open(&grown, &seal).unwrap_err(), wrong_size);
}

#[test]
fn superblocks_of_another_form_do_not_parse() {
    let good = Superblock { uuid: uuid(), data_blocks: 129, salt: salt() };
    assert_eq!(Superblock::parse(&good.encode()), Some(good.clone()));
    let fields = [
        ("signature", 0),
        ("version", 8),
        ("hash type", 12),
        ("algorithm", 32),
        ("data block size", 64),
        ("hash block size", 68),
        ("salt size", 80),
        ("padding", 82),
        ("salt's zeros", 88 + 32),
        ("salt's rest", 88 + 64),
        ("end of the superblock", 511),
        ("end of the block", BLOCK - 1),
    ];
    for (field, at) in fields {
        let mut other = good.encode();
        other[at] ^= 1;
        assert_eq!(Superblock::parse(&other), None, "{field}");
    }
}

#[test]
fn images_without_blocks_have_no_tree() {
    assert!(Tree::from_leaves(salt(), vec![]).is_err());
}

struct Files {
    dir: TempDir,
    image: String,
}

impl Files {
    fn of_image(blocks: usize) -> Self {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("root.img").to_str().unwrap().to_owned();
        fs::write(&path, image(blocks)).unwrap();
        Self { dir, image: path }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }
}

/// Blocks that differ from each other.
fn image(blocks: usize) -> Vec<u8> {
    let number = |word: usize| (word as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    (0..blocks * BLOCK / 8).flat_map(number).collect()
}

fn leaves(image: &[u8]) -> Vec<[u8; 32]> {
    let hasher = LeafHasher::new(&salt());
    let (blocks, []) = image.as_chunks() else { panic!("whole blocks") };
    blocks.iter().map(|block| hasher.leaf(block)).collect()
}

fn tree(image: impl AsRef<Path>) -> Tree {
    Tree::from_leaves(salt(), leaves(&fs::read(image).unwrap())).unwrap()
}

fn file_of(tree: &Tree) -> Vec<u8> {
    let mut file = Vec::new();
    tree.write(&mut file, uuid()).unwrap();
    file
}

fn sealed(tree: &Tree) -> Verified<Seal> {
    let image_size = tree.leaves().len() as u64 * BLOCK as u64;
    let seal = Seal { image_size, root_hash: tree.root(), ..plain_seal() };
    let file = seal.sign(&keys(&[1])).unwrap();
    key_set(&[1], 1).verify(Unverified(&file), &ANYTHING).unwrap()
}

fn salt() -> Salt {
    plain_seal().salt
}

fn uuid() -> Uuid {
    Uuid::of_image_id(&plain_seal().image_id)
}
