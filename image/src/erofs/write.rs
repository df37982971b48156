//! Lays a [`Tree`] out as an EROFS image: first a plan of where everything stands, then any block
//! on demand, so that an image is written in any order by any number of threads, and its size does
//! not matter to memory.

mod canonical;
mod directory;
mod fill;
mod keep;
mod order;
mod storage;
mod window;
mod xattr;

use super::format::{
    self, BLOCK, BLOCK_BITS, COMPAT_CHECKSUM, COMPAT_MTIME, DataLayout, INCOMPAT_CHUNKED, INODE,
    MAGIC, SUPER_OFFSET, Superblock,
};
use crate::tree::{Body, InodeId, Tree};
use crate::{Error, Result};
pub use keep::Continuity;
use storage::Storage;
use xattr::SharedXattrs;
use zerocopy::{FromZeros, IntoBytes};

/// Where everything of a tree stands in its image.
pub struct Layout<'t> {
    tree: &'t Tree,
    /// By path.
    inodes: Vec<Placed>,
    /// Position in `inodes` by [`InodeId::index`].
    ranks: Vec<u32>,
    /// Ranks of all inodes, by slot.
    slots: Vec<u32>,
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

impl Placed {
    fn nowhere(id: InodeId, need: &Need) -> Result<Self> {
        let blocks = block_number(need.blocks)?;
        Ok(Self { id, nid: 0, first_block: 0, blocks, form: need.form })
    }
}

/// Where what is no inode's own stands, in blocks.
struct Areas {
    /// First block of the inodes.
    meta_block: u64,
    /// First block of the shared xattrs.
    xattr_block: u64,
    /// Length of the image.
    blocks: u64,
}

/// What an inode takes.
struct Need {
    form: Form,
    /// Blocks of its own.
    blocks: u64,
    /// Bytes among the inodes: itself, its xattrs, and its tail or map.
    record: u64,
    /// Those of itself and its xattrs.
    head: u64,
}

impl<'t> Layout<'t> {
    /// Plans the image of `tree`: a function of the tree and the UUID alone.
    ///
    /// # Errors
    /// When EROFS cannot hold something in it: names the path.
    pub fn of(tree: &'t Tree, uuid: [u8; 16]) -> Result<Self> {
        let (mut layout, needs) = Self::unplaced(tree)?;
        let areas = layout.place_in_order(&needs)?;
        layout.describe(areas, uuid)?;
        Ok(layout)
    }

    /// All inodes by path with what they take, and nowhere yet.
    fn unplaced(tree: &'t Tree) -> Result<(Self, Vec<Need>)> {
        let order = order::by_path(tree)?;
        let xattrs = order.iter().flat_map(|id| tree.xattrs(tree.inode(*id).xattrs));
        let mut layout = Self {
            tree,
            inodes: Vec::with_capacity(order.len()),
            ranks: vec![0; tree.capacity()],
            slots: Vec::new(),
            parents: order::parents(tree, &order),
            data: Vec::new(),
            shared: SharedXattrs::among(xattrs),
            superblock: Superblock::new_zeroed(),
        };
        let needs: Vec<Need> = order.iter().map(|id| layout.need(*id)).collect();
        for (id, need) in order.iter().zip(&needs) {
            layout.ranks[id.index()] = layout.inodes.len() as u32;
            layout.inodes.push(Placed::nowhere(*id, need)?);
        }
        Ok((layout, needs))
    }

    /// Length of the image in blocks.
    pub fn blocks(&self) -> u64 {
        self.superblock.blocks.get().into()
    }

    /// Files before directories and symlinks, then short before long; among equals, who sorts keeps
    /// the order by path.
    fn data_order(&self, inode: Placed) -> (bool, u32) {
        let is_file = matches!(self.tree.inode(inode.id).body, Body::File(_));
        (!is_file, inode.blocks)
    }

    /// Ranks of the inodes that have blocks, by path.
    fn with_blocks(&self) -> impl Iterator<Item = u32> {
        let with_blocks = (0..).zip(&self.inodes).filter(|(_, inode)| inode.blocks > 0);
        with_blocks.map(|(rank, _)| rank)
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
                    head,
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

    /// Notes what follows from where everything stands.
    fn describe(&mut self, areas: Areas, uuid: [u8; 16]) -> Result<()> {
        self.sort();
        let chunked = self.inodes.iter().any(|inode| matches!(inode.form, Form::Chunked { .. }));
        self.superblock = Superblock {
            magic: MAGIC.into(),
            feature_compat: (COMPAT_CHECKSUM | COMPAT_MTIME).into(),
            feature_incompat: if chunked { INCOMPAT_CHUNKED } else { 0 }.into(),
            block_bits: BLOCK_BITS,
            root_nid: (self.placed(self.tree.root()).nid as u16).into(),
            inodes: (self.inodes.len() as u64).into(),
            blocks: block_number(areas.blocks)?.into(),
            meta_block: block_number(areas.meta_block)?.into(),
            xattr_block: block_number(areas.xattr_block)?.into(),
            uuid,
            ..Superblock::new_zeroed()
        };
        self.superblock.checksum = self.checksum().into();
        Ok(())
    }

    fn sort(&mut self) {
        let inodes = &self.inodes;
        let mut slots: Vec<u32> = (0..inodes.len() as u32).collect();
        slots.sort_by_key(|rank| inodes[*rank as usize].nid);
        let mut data: Vec<u32> = self.with_blocks().collect();
        data.sort_by_key(|rank| inodes[*rank as usize].first_block);
        (self.slots, self.data) = (slots, data);
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
        Need { form: Form::Inline, blocks: size / BLOCK, record: head + tail, head }
    } else {
        Need { form: Form::Plain, blocks: size.div_ceil(BLOCK), record: head, head }
    }
}

/// Addresses in EROFS have 32 bits, and the highest one means a hole.
fn block_number(block: u64) -> Result<u32> {
    u32::try_from(block).ok().filter(|block| *block != format::HOLE).ok_or_else(|| {
        Error::input("lay out the image", "it would be larger than 16 TiB, EROFS's limit")
    })
}
