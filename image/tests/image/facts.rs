//! What can be said of a file system by looking at it: from a tree, from an image, and from a
//! mounted directory.

use pintle_image::erofs::read::{Image, Inode, ReadAt};
use pintle_image::spool::Spool;
use pintle_image::tree::{Body, Content, InodeId, Tree};
use pintle_verify::Digest;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// Facts by absolute path.
pub(crate) type Facts = BTreeMap<Vec<u8>, Fact>;

/// What `stat`, `getfattr` and `cat` say of one path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Fact {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: (i64, u32),
    pub(crate) links: u64,
    pub(crate) device: (u32, u32),
    pub(crate) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Size and digest of a file, target of a symlink.
    pub(crate) content: Option<(u64, Digest)>,
    /// The least path of the inode, so that hard links are told from copies.
    pub(crate) first_path: Vec<u8>,
}

/// Bytes of a file hashed at a time.
const STEP: usize = 1 << 20;

pub(crate) fn of_tree(tree: &Tree, spool: &Spool) -> Facts {
    let root = (Vec::new(), tree.root());
    let names = std::iter::once(root).chain(tree.walk());
    gather(names.map(|(path, id)| Seen {
        path: [b"/", &*path].concat(),
        inode: id.index() as u64,
        fact: of_tree_inode(tree, spool, id),
    }))
}

fn of_tree_inode(tree: &Tree, spool: &Spool, id: InodeId) -> Fact {
    let inode = tree.inode(id);
    let (file_type, device, content) = match &inode.body {
        Body::Directory(_) => (0o040_000, (0, 0), None),
        Body::File(content) => (0o100_000, (0, 0), Some(of_content(content, spool))),
        Body::Symlink(target) => (0o120_000, (0, 0), Some(of_bytes(target))),
        Body::CharDevice(device) => (0o020_000, (device.major, device.minor), None),
        Body::BlockDevice(device) => (0o060_000, (device.major, device.minor), None),
        Body::Fifo => (0o010_000, (0, 0), None),
        Body::Socket => (0o140_000, (0, 0), None),
    };
    let xattrs = tree.xattrs(inode.xattrs).iter();
    Fact {
        mode: file_type | u32::from(inode.mode),
        uid: inode.uid,
        gid: inode.gid,
        mtime: (inode.mtime, inode.mtime_nanos),
        links: tree.links(id).into(),
        device,
        xattrs: xattrs.map(|xattr| (xattr.name.to_vec(), xattr.value.to_vec())).collect(),
        content,
        first_path: Vec::new(),
    }
}

fn of_content(content: &Content, spool: &Spool) -> (u64, Digest) {
    digest(content.size, |at, buffer| content.read_at(spool, buffer, at).unwrap())
}

fn of_bytes(bytes: &[u8]) -> (u64, Digest) {
    (bytes.len() as u64, Digest::of(bytes))
}

pub(crate) fn of_image<S: ReadAt>(image: &Image<S>) -> Facts {
    gather(image.walk().map(Result::unwrap).map(|found| Seen {
        inode: found.inode.nid.0,
        fact: of_image_inode(image, &found.inode),
        path: found.path,
    }))
}

fn of_image_inode<S: ReadAt>(image: &Image<S>, inode: &Inode) -> Fact {
    let mode = u32::from(inode.file_type.mode() | inode.permissions);
    let content = match mode & 0o170_000 {
        0o100_000 => Some(digest(inode.size, |at, buffer| {
            assert_eq!(image.read_at(inode, at, buffer).unwrap(), buffer.len());
        })),
        0o120_000 => Some(of_bytes(&image.target(inode).unwrap())),
        _ => None,
    };
    let xattrs = image.xattrs(inode).unwrap().into_iter();
    Fact {
        mode,
        uid: inode.uid,
        gid: inode.gid,
        mtime: (inode.mtime, inode.mtime_nanos),
        links: inode.links.into(),
        device: inode.device().unwrap_or_default(),
        xattrs: xattrs.map(|xattr| (xattr.name, xattr.value)).collect(),
        content,
        first_path: Vec::new(),
    }
}

/// Of everything below `root`, which becomes `/`.
pub(crate) fn of_directory(root: &Path) -> Facts {
    let mut seen = vec![of_path(root, b"/".to_vec())];
    let mut directories = vec![(root.to_path_buf(), Vec::new())];
    while let Some((directory, above)) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap().map(Result::unwrap) {
            let path = [&*above, b"/", entry.file_name().as_bytes()].concat();
            seen.push(of_path(&entry.path(), path.clone()));
            if entry.file_type().unwrap().is_dir() {
                directories.push((entry.path(), path));
            }
        }
    }
    gather(seen.into_iter())
}

/// A fact before it is known which of an inode's paths comes first.
struct Seen {
    path: Vec<u8>,
    inode: u64,
    fact: Fact,
}

fn gather(seen: impl Iterator<Item = Seen>) -> Facts {
    let seen: Vec<Seen> = seen.collect();
    let mut least = BTreeMap::<u64, Vec<u8>>::new();
    for Seen { path, inode, .. } in &seen {
        let least = least.entry(*inode).or_insert_with(|| path.clone());
        *least = least.clone().min(path.clone());
    }
    let settle = |seen: Seen| {
        let first_path = least[&seen.inode].clone();
        (seen.path, Fact { first_path, ..seen.fact })
    };
    seen.into_iter().map(settle).collect()
}

fn of_path(path: &Path, shown: Vec<u8>) -> Seen {
    let inode = fs::symlink_metadata(path).unwrap().ino();
    Seen { path: shown, inode, fact: of_file(path) }
}

fn of_file(path: &Path) -> Fact {
    let metadata = fs::symlink_metadata(path).unwrap();
    let rdev = metadata.rdev();
    let content = match metadata.mode() & 0o170_000 {
        0o100_000 => Some(of_open_file(&File::open(path).unwrap())),
        0o120_000 => Some(of_bytes(fs::read_link(path).unwrap().as_os_str().as_bytes())),
        _ => None,
    };
    Fact {
        mode: metadata.mode(),
        uid: metadata.uid(),
        gid: metadata.gid(),
        mtime: (metadata.mtime(), metadata.mtime_nsec() as u32),
        links: metadata.nlink(),
        device: (rustix::fs::major(rdev), rustix::fs::minor(rdev)),
        xattrs: xattrs(path),
        content,
        first_path: Vec::new(),
    }
}

fn of_open_file(file: &File) -> (u64, Digest) {
    digest(file.metadata().unwrap().len(), |at, buffer| file.read_exact_at(buffer, at).unwrap())
}

fn xattrs(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = vec![0; 1 << 16];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap();
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names.map(|name| (name.to_vec(), xattr(path, name))).collect()
}

fn xattr(path: &Path, name: &[u8]) -> Vec<u8> {
    let mut value = vec![0; 1 << 16];
    let length = rustix::fs::lgetxattr(path, name, &mut value[..]).unwrap();
    value.truncate(length);
    value
}

fn digest(size: u64, read: impl Fn(u64, &mut [u8])) -> (u64, Digest) {
    use sha2::Digest as _;
    let (mut hasher, mut buffer) = (sha2::Sha256::new(), vec![0; STEP]);
    for at in (0..size).step_by(STEP) {
        let length = (size - at).min(STEP as u64) as usize;
        read(at, &mut buffer[..length]);
        hasher.update(&buffer[..length]);
    }
    (size, Digest::from_bytes(hasher.finalize().into()))
}
