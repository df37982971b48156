//! A directory's entries, packed into blocks.

use crate::erofs::format::{BLOCK, DIRENT, Dirent, FileType};
use crate::tree::{InodeId, Tree};
use std::iter::{self, Peekable};
use zerocopy::IntoBytes;

/// A name and what it refers to.
pub(super) type Link<'a> = (&'a [u8], InodeId);

/// All entries of a directory by name, `.` and `..` among them: Linux looks names up by bisection,
/// and these two too.
pub(super) fn links(tree: &Tree, own: InodeId, parent: InodeId) -> impl Iterator<Item = Link<'_>> {
    let mut children = tree.children(own).peekable();
    let mut dots = [(&b"."[..], own), (b"..", parent)].into_iter().peekable();
    iter::from_fn(move || {
        let child = children.peek().map(|(name, _)| *name);
        match dots.next_if(|(dots, _)| child.is_none_or(|child| *dots < child)) {
            None => children.next(),
            dots => dots,
        }
    })
}

/// Splits a directory's entries into the most that each block holds.
pub(super) fn blocks<'a>(
    links: impl Iterator<Item = Link<'a>>,
) -> impl Iterator<Item = Vec<Link<'a>>> {
    let mut links = links.peekable();
    iter::from_fn(move || next_block(&mut links))
}

/// Bytes of a directory: whole blocks, and of the last one what is used.
pub(super) fn size<'a>(links: impl Iterator<Item = Link<'a>>) -> u64 {
    let used = blocks(links).map(|block| block.iter().map(room).sum::<usize>() as u64);
    let (count, last) = used.fold((0, 0), |(count, _), used| (count + 1, used));
    (count - 1) * BLOCK + last
}

/// A block's bytes: the dirents, then their names. `describe` gives an inode's nid and type.
pub(super) fn encode(block: &[Link<'_>], describe: impl Fn(InodeId) -> (u64, FileType)) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(BLOCK as usize);
    let mut name_offset = block.len() * DIRENT;
    for (name, id) in block {
        let (nid, file_type) = describe(*id);
        let dirent = Dirent {
            nid: nid.into(),
            name_offset: (name_offset as u16).into(),
            file_type: file_type as u8,
            reserved: 0,
        };
        bytes.extend_from_slice(dirent.as_bytes());
        name_offset += name.len();
    }
    block.iter().for_each(|(name, _)| bytes.extend_from_slice(name));
    bytes
}

fn next_block<'a, I: Iterator<Item = Link<'a>>>(links: &mut Peekable<I>) -> Option<Vec<Link<'a>>> {
    let mut block = vec![links.next()?];
    let mut used = room(&block[0]);
    while let Some(link) = links.next_if(|link| used + room(link) <= BLOCK as usize) {
        used += room(&link);
        block.push(link);
    }
    Some(block)
}

fn room((name, _): &Link<'_>) -> usize {
    DIRENT + name.len()
}
