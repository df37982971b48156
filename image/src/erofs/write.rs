//! Lays a [`Tree`] out as an EROFS image: first a plan of where everything stands, then any block
//! on demand, so that an image is written in any order by any number of threads, and its size does
//! not matter to memory.

mod directory;
mod fill;
mod order;
mod storage;
mod window;
mod xattr;

use super::format::{
    self, BLOCK, BLOCK_BITS, COMPAT_CHECKSUM, COMPAT_MTIME, DataLayout, INCOMPAT_CHUNKED, INODE,
    MAGIC, SLOT, SUPER_OFFSET, Superblock,
};
use crate::tree::{Body, InodeId, Tree};
use crate::{Error, Result};
use storage::Storage;
use xattr::SharedXattrs;
use zerocopy::{FromZeros, IntoBytes};

/// Where everything of a tree stands in its image. A function of the tree and the UUID alone.
pub struct Layout<'t> {
    tree: &'t Tree,
    /// By path, and so by position in the image.
    inodes: Vec<Placed>,
    /// Position in `inodes` by [`InodeId::index`].
    ranks: Vec<u32>,
    /// The directory above each directory, by [`InodeId::index`].
    parents: Vec<InodeId>,
    /// Ranks of the inodes that have blocks, by first block.
    data: Vec<u32>,
    shared: SharedXattrs<'t>,
    superblock: Superblock,
}

/// Where an inode stands and what of it has blocks.
#[derive(Clone, Copy)]
struct Placed {
    id: InodeId,
    /// Its slot, counted from the first block of inodes.
    nid: u32,
    first_block: u32,
    blocks: u32,
    form: Form,
}

/// How an inode's data is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// In blocks.
    Plain,
    /// In blocks, the last part behind the inode.
    Inline,
    /// In blocks, by a map behind the inode.
    Chunked { bits: u8 },
}

/// What an inode takes.
struct Need {
    form: Form,
    /// Blocks of its own.
    blocks: u64,
    /// Bytes among the inodes: itself, its xattrs, and its tail or map.
    record: u64,
}

impl<'t> Layout<'t> {
    /// Plans the image of `tree`.
    ///
    /// # Errors
    /// When EROFS cannot hold something in it: names the path.
    pub fn of(tree: &'t Tree, uuid: [u8; 16]) -> Result<Self> {
        let order = order::by_path(tree)?;
        let xattrs = order.iter().flat_map(|id| tree.xattrs(tree.inode(*id).xattrs));
        let mut layout = Self {
            tree,
            inodes: Vec::with_capacity(order.len()),
            ranks: vec![0; tree.capacity()],
            parents: order::parents(tree, &order),
            data: Vec::new(),
            shared: SharedXattrs::among(xattrs),
            superblock: Superblock::new_zeroed(),
        };
        let inode_blocks = layout.place_inodes(&order)?;
        let data_blocks = layout.place_data()?;
        layout.describe(data_blocks, inode_blocks, uuid)?;
        Ok(layout)
    }

    /// Length of the image in blocks.
    pub fn blocks(&self) -> u64 {
        self.superblock.blocks.get().into()
    }

    /// Gives each inode its slot, and returns the blocks that all take.
    fn place_inodes(&mut self, order: &[InodeId]) -> Result<u64> {
        // Slot 0 stays free: number 0 is no file to `readdir`.
        let mut cursor = SLOT;
        for id in order {
            let need = self.need(*id);
            cursor = after_gap(cursor, need.record);
            self.ranks[id.index()] = self.inodes.len() as u32;
            self.inodes.push(Placed {
                id: *id,
                nid: block_number(cursor / SLOT)?,
                first_block: 0,
                blocks: block_number(need.blocks)?,
                form: need.form,
            });
            cursor = (cursor + need.record).next_multiple_of(SLOT);
        }
        Ok(cursor.div_ceil(BLOCK))
    }

    /// Gives data its blocks, and returns the first one behind them.
    fn place_data(&mut self) -> Result<u64> {
        let inodes = &self.inodes;
        let with_blocks = (0..).zip(inodes).filter(|(_, inode)| inode.blocks > 0);
        let mut data: Vec<u32> = with_blocks.map(|(rank, _)| rank).collect();
        data.sort_by_key(|rank| self.data_order(inodes[*rank as usize]));
        let mut next = 1;
        for rank in &data {
            let inode = &mut self.inodes[*rank as usize];
            inode.first_block = block_number(next)?;
            next += u64::from(inode.blocks);
        }
        self.data = data;
        Ok(next)
    }

    /// Files before directories and symlinks, then short before long; `place_data` keeps the order
    /// by path otherwise.
    fn data_order(&self, inode: Placed) -> (bool, u32) {
        let is_file = matches!(self.tree.inode(inode.id).body, Body::File(_));
        (!is_file, inode.blocks)
    }

    fn need(&self, id: InodeId) -> Need {
        let inode = self.tree.inode(id);
        let head = (INODE + self.shared.encode(self.tree.xattrs(inode.xattrs)).len()) as u64;
        match &inode.body {
            Body::File(content) => {
                let storage = Storage::best(content);
                Need {
                    form: storage.into(),
                    blocks: storage.blocks(content),
                    record: head + storage.map_bytes(content),
                }
            }
            Body::Directory(_) => flat(head, directory::size(self.links(id))),
            Body::Symlink(target) => flat(head, target.len() as u64),
            _ => flat(head, 0),
        }
    }

    fn links(&self, directory: InodeId) -> impl Iterator<Item = directory::Link<'t>> + use<'t> {
        directory::links(self.tree, directory, self.parents[directory.index()])
    }

    fn placed(&self, id: InodeId) -> &Placed {
        &self.inodes[self.ranks[id.index()] as usize]
    }

    fn describe(&mut self, meta_block: u64, inode_blocks: u64, uuid: [u8; 16]) -> Result<()> {
        let xattr_block = meta_block + inode_blocks;
        let blocks = xattr_block + (self.shared.area().len() as u64).div_ceil(BLOCK);
        let chunked = self.inodes.iter().any(|inode| matches!(inode.form, Form::Chunked { .. }));
        self.superblock = Superblock {
            magic: MAGIC.into(),
            feature_compat: (COMPAT_CHECKSUM | COMPAT_MTIME).into(),
            feature_incompat: if chunked { INCOMPAT_CHUNKED } else { 0 }.into(),
            block_bits: BLOCK_BITS,
            root_nid: (self.placed(self.tree.root()).nid as u16).into(),
            inodes: (self.inodes.len() as u64).into(),
            blocks: block_number(blocks)?.into(),
            meta_block: block_number(meta_block)?.into(),
            xattr_block: block_number(xattr_block)?.into(),
            uuid,
            ..Superblock::new_zeroed()
        };
        self.superblock.checksum = self.checksum().into();
        Ok(())
    }

    fn checksum(&self) -> u32 {
        let mut block = [0; (BLOCK - SUPER_OFFSET) as usize];
        block[..size_of::<Superblock>()].copy_from_slice(self.superblock.as_bytes());
        format::checksum(&block)
    }
}

impl From<Storage> for Form {
    fn from(storage: Storage) -> Self {
        match storage {
            Storage::Whole => Self::Plain,
            Storage::Chunked { bits } => Self::Chunked { bits },
        }
    }
}

impl Form {
    fn layout(self) -> DataLayout {
        match self {
            Self::Plain => DataLayout::FlatPlain,
            Self::Inline => DataLayout::FlatInline,
            Self::Chunked { .. } => DataLayout::ChunkBased,
        }
    }

    fn storage(self) -> Storage {
        match self {
            Self::Chunked { bits } => Storage::Chunked { bits },
            Self::Plain | Self::Inline => Storage::Whole,
        }
    }
}

/// A directory or symlink of `size` bytes: its last part goes behind the inode if both fit in one
/// block, which the kernel demands of tails.
fn flat(head: u64, size: u64) -> Need {
    let tail = size % BLOCK;
    if tail > 0 && head + tail <= BLOCK {
        Need { form: Form::Inline, blocks: size / BLOCK, record: head + tail }
    } else {
        Need { form: Form::Plain, blocks: size.div_ceil(BLOCK), record: head }
    }
}

/// Where a record of `length` bytes may stand from `cursor` on: what fits in a block crosses none.
fn after_gap(cursor: u64, length: u64) -> u64 {
    if cursor % BLOCK + length.min(BLOCK) > BLOCK { cursor.next_multiple_of(BLOCK) } else { cursor }
}

/// Addresses in EROFS have 32 bits, and the highest one means a hole.
fn block_number(block: u64) -> Result<u32> {
    u32::try_from(block).ok().filter(|block| *block != format::HOLE).ok_or_else(|| {
        Error::input("lay out the image", "it would be larger than 16 TiB, EROFS's limit")
    })
}
