//! What holds for any bytes that an image is laid out after; the fuzz target checks the same.

use pintle_image::erofs::format::{BLOCK, FileType};
use pintle_image::erofs::read::{Image, Inode};
use pintle_image::erofs::write::Layout;
use pintle_image::spool::Spool;
use pintle_image::tree::{Body, Inode as TreeInode, Tree};

/// How it ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ending {
    /// The bytes were refused.
    Refused,
    /// The new image is like the old bytes.
    Equal,
    /// It is another.
    Other,
}

/// A tree that images are made of, and the next version of it.
pub(crate) struct Versions {
    pub(crate) spool: Spool,
    pub(crate) first: Tree,
    pub(crate) second: Tree,
}

impl Versions {
    /// Two trees with files, directories and symlinks that stay, change, come and go.
    pub(crate) fn new() -> Self {
        let spool = Spool::within(&std::env::temp_dir()).unwrap();
        let (first, second) = (tree(&spool, 1), tree(&spool, 2));
        Self { spool, first, second }
    }

    /// The canonical image of the first.
    pub(crate) fn image(&self) -> Vec<u8> {
        let layout = Layout::of(&self.first, [7; 16]).unwrap();
        bytes(&layout, &self.spool)
    }

    /// Laying `tree` out after `old` ends in an error, or in an image that reads as the tree and is
    /// at most a tenth longer than it must be, or by 16 blocks.
    pub(crate) fn check(&self, tree: &Tree, old: &[u8]) -> Ending {
        let Ok(image) = Image::open(old) else { return Ending::Refused };
        let Ok((layout, _)) = Layout::after((tree, &self.spool), [7; 16], &image) else {
            return Ending::Refused;
        };
        let fewest = Layout::of(tree, [7; 16]).unwrap().blocks();
        assert!(layout.blocks() <= fewest + (layout.blocks() / 10).max(16));
        let new = bytes(&layout, &self.spool);
        self.assert_reads_as(tree, &new);
        if new == old { Ending::Equal } else { Ending::Other }
    }

    fn assert_reads_as(&self, tree: &Tree, bytes: &[u8]) {
        let image = Image::open(bytes).unwrap();
        let found: Vec<_> = image.walk().map(Result::unwrap).skip(1).collect();
        let names: Vec<_> = tree.walk().collect();
        assert_eq!(found.len(), names.len());
        for (found, (path, id)) in found.iter().zip(names) {
            assert_eq!(found.path[1..], path);
            let expected = content(tree.inode(id), &self.spool);
            assert!(read(&image, &found.inode) == expected, "{}", path.escape_ascii());
        }
    }
}

/// Files of 0 to 5 blocks, of which a third differ between versions; two directories that do not
/// fit behind their inode, one of which grows.
fn tree(spool: &Spool, version: usize) -> Tree {
    let mut tree = Tree::new();
    for i in 0..30 {
        let seed = if i % 3 == 0 { i * version } else { i };
        let bytes: Vec<u8> = (0..i * 700).map(|at| (at * 31 / 7 + seed * 101) as u8).collect();
        let path = format!("files/{}", if i == 7 { i * version } else { i });
        tree.write_file(&path, 0o644, &bytes, spool).unwrap();
    }
    for i in 0..100 + 80 * version {
        let name = format!("{i:030}");
        let target = vec![b'x'; 1 + i % 45 * 90].into();
        let link = TreeInode::new(0o777, Body::Symlink(target));
        let parent = tree.make_directories(format!("links/{}", i % 2).as_bytes()).unwrap();
        tree.insert(parent, name.as_bytes(), link).unwrap();
    }
    tree
}

fn content(inode: &TreeInode, spool: &Spool) -> Vec<u8> {
    match &inode.body {
        Body::File(content) => {
            let mut bytes = vec![0; content.size as usize];
            content.read_at(spool, &mut bytes, 0).unwrap();
            bytes
        }
        Body::Symlink(target) => target.to_vec(),
        _ => Vec::new(),
    }
}

fn read(image: &Image<&[u8]>, inode: &Inode) -> Vec<u8> {
    if inode.file_type == FileType::Directory {
        return Vec::new();
    }
    let mut bytes = vec![0; inode.size as usize];
    assert_eq!(image.read_at(inode, 0, &mut bytes).unwrap(), bytes.len());
    bytes
}

fn bytes(layout: &Layout<'_>, spool: &Spool) -> Vec<u8> {
    let mut bytes = vec![0xff; (layout.blocks() * BLOCK) as usize];
    layout.fill(spool, 0, &mut bytes).unwrap();
    bytes
}
