//! Images, releases of them, and places to fetch them from.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::ops::Range;
use std::path::Path;

use pintle_transfer::document::{ImageLayer, ReleaseManifest};
use pintle_transfer::frames::{Effort, Recipe, compress};
use pintle_transfer::{Blob, Blobs, Error, Received, Receiver, Source, Target};
use pintle_verify::verity::{BLOCK, LeafHasher, Tree};
use pintle_verify::{
    Architecture, Digest, Expect, ImageId, KeySet, Percent, Salt, Seal, SigningKey, Unverified,
    Uuid, Verified,
};

/// Marsaglia's xorshift64: the same numbers in every run and on every machine.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }
}

/// A block that no other seed has, and that zstd halves.
pub(crate) fn block(seed: u64) -> [u8; BLOCK] {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut block = [0; BLOCK];
    block.iter_mut().for_each(|byte| *byte = (random.next() >> 32) as u8 & 0x0f);
    block
}

/// Blocks with these seeds; 0 is a block of zeros.
pub(crate) fn image(seeds: impl IntoIterator<Item = u64>) -> Vec<u8> {
    let blocks = seeds.into_iter().map(|seed| if seed == 0 { [0; BLOCK] } else { block(seed) });
    blocks.collect::<Vec<_>>().into_flattened()
}

/// A release and everything that it was made of.
#[derive(Clone)]
pub(crate) struct Release {
    pub(crate) image: Vec<u8>,
    pub(crate) tree: Vec<u8>,
    pub(crate) seal: Verified<Seal>,
    pub(crate) seal_file: Vec<u8>,
    pub(crate) manifest: ReleaseManifest,
    pub(crate) blobs: HashMap<Digest, Vec<u8>>,
}

pub(crate) fn image_id() -> ImageId {
    "kiosk".parse().unwrap()
}

/// The tree of an image.
pub(crate) fn tree_of(image: &[u8]) -> Tree {
    let salt = Salt::of_image_id(&image_id());
    let hasher = LeafHasher::new(&salt);
    let leaves = image.as_chunks().0.iter().map(|block| hasher.leaf(block)).collect();
    Tree::from_leaves(salt, leaves).unwrap()
}

pub(crate) fn tree_file(tree: &Tree) -> Vec<u8> {
    let mut file = Vec::new();
    tree.write(&mut file, Uuid::of_image_id(&image_id())).unwrap();
    file
}

pub(crate) fn seal_of(image_size: u64, root_hash: Digest) -> (Vec<u8>, Verified<Seal>) {
    let seal = Seal {
        image_id: image_id(),
        architecture: Architecture::X86_64,
        version: "1.4.0".parse().unwrap(),
        sequence: 42,
        floor: 0,
        created: 1_750_000_000,
        best_before: None,
        rollout: Percent::ALL,
        image_size,
        salt: Salt::of_image_id(&image_id()),
        root_hash,
        source: None,
        kernel: None,
        next_keys: None,
    };
    let key = SigningKey::generate(&[1; 32]);
    let file = seal.sign(std::slice::from_ref(&key)).unwrap();
    let keys = KeySet::new(vec![key.public()], 1).unwrap();
    let anything = Expect { image_id: None, architecture: None, floor: 0 };
    let verified = keys.verify(Unverified(&file), &anything).unwrap();
    (file, verified)
}

pub(crate) fn blob_of(bytes: &[u8]) -> Blob {
    Blob { digest: Digest::of(bytes), size: bytes.len() as u64 }
}

/// Publishes an image.
pub(crate) fn release(image: Vec<u8>) -> Release {
    let tree = tree_of(&image);
    let (seal_file, seal) = seal_of(image.len() as u64, tree.root());
    let tree = tree_file(&tree);
    let folder = tempfile::tempdir().unwrap();
    let mut frames = Vec::new();
    let file = file_of(&folder.path().join("image"), &image);
    let recipe = Recipe { starts: &[], cuts: &[], effort: Effort::Quick, progress: &|_| {} };
    let blocks = (image.len() / BLOCK) as u64;
    let table = compress(&file, blocks, &recipe, &mut frames).unwrap();
    let manifest = ReleaseManifest {
        seal: blob_of(&seal_file),
        tree: blob_of(&tree),
        image: ImageLayer { blob: blob_of(&frames), seek_table: table.frames_size() },
        deltas: vec![],
    };
    let files = [seal_file.clone(), tree.clone(), frames];
    let blobs = files.map(|bytes| (Digest::of(&bytes), bytes)).into();
    Release { image, tree, seal, seal_file, manifest, blobs }
}

pub(crate) fn file_of(path: &Path, bytes: &[u8]) -> File {
    fs::write(path, bytes).unwrap();
    open(path)
}

pub(crate) fn open(path: &Path) -> File {
    File::options().read(true).write(true).create(true).truncate(false).open(path).unwrap()
}

/// An image that a machine has.
pub(crate) fn source(folder: &Path, name: &str, image: &[u8]) -> Source {
    let tree = tree_of(image);
    Source {
        image: file_of(&folder.join(format!("{name}.img")), image),
        tree: file_of(&folder.join(format!("{name}.tree")), &tree_file(&tree)),
        root_hash: tree.root(),
    }
}

/// The files of `incoming/`, as they are.
pub(crate) fn target(folder: &Path) -> Target {
    let file = |name| open(&folder.join(name));
    Target { image: file("root.img"), tree: file("root.tree"), delta: file("delta") }
}

/// A machine with nothing but the older images, and what came of a release.
pub(crate) struct Machine {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) sources: Vec<Source>,
    pub(crate) target: Target,
}

impl Machine {
    pub(crate) fn with(images: &[&[u8]]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let named = images.iter().enumerate();
        let sources =
            named.map(|(n, image)| source(folder.path(), &n.to_string(), image)).collect();
        let target = target(folder.path());
        Self { folder, sources, target }
    }

    pub(crate) fn receive(
        &self,
        release: &Release,
        blobs: &mut dyn Blobs,
    ) -> Result<Received, Error> {
        let Release { seal, manifest, .. } = release;
        let (sources, target) = (self.sources.as_slice(), &self.target);
        Receiver { seal, manifest, sources, target }.receive(blobs, &mut |_| {})
    }

    pub(crate) fn image(&self) -> Vec<u8> {
        fs::read(self.folder.path().join("root.img")).unwrap()
    }

    /// Fails unless the machine has exactly the release.
    pub(crate) fn has(&self, release: &Release) {
        assert!(self.image() == release.image, "another image");
        let tree = fs::read(self.folder.path().join("root.tree")).unwrap();
        assert!(tree == release.tree, "another tree");
    }

    /// Fails if a block was written that is not the release's.
    pub(crate) fn has_nothing_wrong(&self, release: &Release) {
        let blocks = self.image();
        let pairs = blocks.as_chunks::<BLOCK>().0.iter().zip(release.image.as_chunks().0);
        for (number, (found, expected)) in pairs.enumerate() {
            assert!(*found == [0; BLOCK] || found == expected, "block {number} is wrong");
        }
    }
}

/// Blobs in memory, and what was asked of them.
pub(crate) struct Memory<'r> {
    blobs: &'r HashMap<Digest, Vec<u8>>,
    /// How many bytes come before the connection is cut.
    pub(crate) left: u64,
    pub(crate) read: u64,
    pub(crate) requests: Vec<(Digest, Range<u64>)>,
}

impl<'r> Memory<'r> {
    pub(crate) fn of(blobs: &'r HashMap<Digest, Vec<u8>>) -> Self {
        Self { blobs, left: u64::MAX, read: 0, requests: vec![] }
    }

    /// One that is cut after so many bytes.
    pub(crate) fn cut(blobs: &'r HashMap<Digest, Vec<u8>>, left: u64) -> Self {
        Self { left, ..Self::of(blobs) }
    }
}

impl Blobs for Memory<'_> {
    fn read(&mut self, blob: &Blob, range: Range<u64>) -> io::Result<Box<dyn Read + '_>> {
        self.requests.push((blob.digest, range.clone()));
        let bytes = self.blobs.get(&blob.digest).ok_or(io::ErrorKind::NotFound)?;
        let bytes = bytes.get(range.start as usize..range.end as usize);
        let bytes = Cursor::new(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(Box::new(Cut { bytes, left: &mut self.left, read: &mut self.read }))
    }
}

struct Cut<'m> {
    bytes: Cursor<&'m [u8]>,
    left: &'m mut u64,
    read: &'m mut u64,
}

impl Read for Cut<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if *self.left == 0 {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let most = buffer.len().min(usize::try_from(*self.left).unwrap_or(usize::MAX));
        let count = self.bytes.read(&mut buffer[..most])?;
        *self.left -= count as u64;
        *self.read += count as u64;
        Ok(count)
    }
}
