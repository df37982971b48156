//! The bytes of a laid out image.

use super::window::Window;
use super::{Form, Layout, Placed, directory};
use crate::Result;
use crate::erofs::format::{BLOCK, ExtendedInode, FileType, SLOT, SUPER_OFFSET, encode_device};
use crate::error::Attempt;
use crate::spool::Spool;
use crate::tree::{Body, Content, InodeId};
use zerocopy::IntoBytes;

impl Layout<'_> {
    /// Fills `buffer`, a multiple of [`BLOCK`] long, with the image from block `first` on; zeros
    /// behind its end.
    ///
    /// # Errors
    /// When the spool, where the tree's data is, cannot be read.
    pub fn fill(&self, spool: &Spool, first: u64, buffer: &mut [u8]) -> Result<()> {
        let mut window = Window::zeroed(first * BLOCK, buffer);
        window.put(SUPER_OFFSET, self.superblock.as_bytes());
        self.put_data(spool, &mut window)?;
        self.put_inodes(&mut window);
        window.put(u64::from(self.superblock.xattr_block.get()) * BLOCK, self.shared.area());
        Ok(())
    }

    fn put_data(&self, spool: &Spool, window: &mut Window<'_>) -> Result<()> {
        let range = window.range();
        let end_of =
            |inode: &Placed| (u64::from(inode.first_block) + u64::from(inode.blocks)) * BLOCK;
        let first = self.data.partition_point(|rank| end_of(self.ranked(*rank)) <= range.start);
        let inodes = self.data[first..].iter().map(|rank| self.ranked(*rank));
        for inode in inodes.take_while(|inode| inode.data_at() < range.end) {
            match &self.tree.inode(inode.id).body {
                Body::File(content) => put_file(inode, content, spool, window)?,
                Body::Directory(_) => self.put_directory(inode, window),
                Body::Symlink(target) => window.put(inode.data_at(), target),
                _ => {}
            }
        }
        Ok(())
    }

    /// Fills `buffer`, a multiple of [`BLOCK`] long, with what the blocks of a file hold from the
    /// `first` of them on; zeros behind the last.
    pub(super) fn stored(
        &self,
        inode: &Placed,
        spool: &Spool,
        (first, buffer): (u64, &mut [u8]),
    ) -> Result<()> {
        let mut window = Window::zeroed(first * BLOCK, buffer);
        match &self.tree.inode(inode.id).body {
            Body::File(content) => {
                put_file(&Placed { first_block: 0, ..*inode }, content, spool, &mut window)
            }
            _ => Ok(()),
        }
    }

    fn put_directory(&self, inode: &Placed, window: &mut Window<'_>) {
        let positions = (inode.data_at()..).step_by(BLOCK as usize);
        let blocks = directory::blocks(self.links(inode.id)).take(inode.blocks as usize);
        for (at, block) in positions.zip(blocks) {
            if window.part(at, BLOCK).is_some() {
                window.put(at, &self.encode_block(&block));
            }
        }
    }

    fn put_inodes(&self, window: &mut Window<'_>) {
        let start = u64::from(self.superblock.meta_block.get()) * BLOCK;
        let range = window.range();
        let at = |inode: &Placed| start + u64::from(inode.nid) * SLOT;
        // The last inode before the window may reach into it.
        let after = self.slots.partition_point(|rank| at(self.ranked(*rank)) <= range.start);
        let last_before = after.saturating_sub(1);
        let inodes = self.slots[last_before..].iter().map(|rank| self.ranked(*rank));
        for inode in inodes.take_while(|inode| at(inode) < range.end) {
            window.put(at(inode), &self.record(inode));
        }
    }

    /// An inode with all that stands behind it.
    fn record(&self, placed: &Placed) -> Vec<u8> {
        let inode = self.tree.inode(placed.id);
        let xattrs = self.shared.encode(self.tree.xattrs(inode.xattrs));
        let head = self.head(placed, xattrs.len());
        [head.as_bytes(), &xattrs, &self.tail(placed)].concat()
    }

    fn head(&self, placed: &Placed, xattr_bytes: usize) -> ExtendedInode {
        let inode = self.tree.inode(placed.id);
        ExtendedInode {
            format: placed.form.layout().extended_format().into(),
            xattr_count: xattr_count(xattr_bytes).into(),
            mode: (file_type(&inode.body).mode() | inode.mode).into(),
            reserved: 0.into(),
            size: self.size(placed.id).into(),
            location: location(placed, &inode.body).into(),
            // Numbering inodes would change all of them where one is added.
            number: 0.into(),
            uid: inode.uid.into(),
            gid: inode.gid.into(),
            mtime: inode.mtime.cast_unsigned().into(),
            mtime_nanos: inode.mtime_nanos.into(),
            links: self.tree.links(placed.id).into(),
            reserved2: [0; 16],
        }
    }

    fn size(&self, id: InodeId) -> u64 {
        match &self.tree.inode(id).body {
            Body::File(content) => content.size,
            Body::Directory(_) => directory::size(self.links(id)),
            Body::Symlink(target) => target.len() as u64,
            _ => 0,
        }
    }

    /// The chunk map or the inline tail.
    fn tail(&self, placed: &Placed) -> Vec<u8> {
        match (&self.tree.inode(placed.id).body, placed.form) {
            (Body::File(content), form) => {
                let map = form.storage().map(content, placed.first_block);
                map.into_iter().flat_map(u32::to_le_bytes).collect()
            }
            (Body::Symlink(target), Form::Inline) => target.to_vec(),
            (Body::Directory(_), Form::Inline) => {
                let last = directory::blocks(self.links(placed.id)).last();
                last.map(|block| self.encode_block(&block)).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    fn encode_block(&self, block: &[directory::Link<'_>]) -> Vec<u8> {
        directory::encode(block, |id| {
            (self.placed(id).nid.into(), file_type(&self.tree.inode(id).body))
        })
    }

    pub(super) fn ranked(&self, rank: u32) -> &Placed {
        &self.inodes[rank as usize]
    }
}

impl Placed {
    /// Where its blocks begin.
    fn data_at(&self) -> u64 {
        u64::from(self.first_block) * BLOCK
    }
}

fn put_file(
    inode: &Placed,
    content: &Content,
    spool: &Spool,
    window: &mut Window<'_>,
) -> Result<()> {
    let mut at = inode.data_at();
    for run in inode.form.storage().runs(content) {
        let length = (run.end - run.start) * BLOCK;
        if let Some((skipped, part)) = window.part(at, length) {
            let read = content.read_at(spool, part, run.start * BLOCK + skipped);
            read.attempt(|| "read the spool".into())?;
        }
        at += length;
    }
    Ok(())
}

pub(super) fn file_type(body: &Body) -> FileType {
    match body {
        Body::Directory(_) => FileType::Directory,
        Body::File(_) => FileType::File,
        Body::Symlink(_) => FileType::Symlink,
        Body::CharDevice(_) => FileType::CharDevice,
        Body::BlockDevice(_) => FileType::BlockDevice,
        Body::Fifo => FileType::Fifo,
        Body::Socket => FileType::Socket,
    }
}

fn location(placed: &Placed, body: &Body) -> u32 {
    match (body, placed.form) {
        (Body::CharDevice(device) | Body::BlockDevice(device), _) => {
            encode_device(device.major, device.minor).unwrap_or_default()
        }
        (_, Form::Chunked { bits }) => bits.into(),
        _ => placed.first_block,
    }
}

/// An inode counts its xattrs in words, the header as one.
fn xattr_count(bytes: usize) -> u16 {
    match bytes.checked_sub(size_of::<super::format::XattrHeader>()) {
        Some(behind) => (behind / 4 + 1) as u16,
        None => 0,
    }
}
