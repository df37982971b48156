//! Reads an EROFS image and trusts nothing in it: every position is checked before it is used,
//! every size has a limit, nothing recurses, and whatever the bytes are, reading ends.
//!
//! It reads what uncompressed images hold: compact and extended inodes, flat, inline and
//! chunk-based data.

mod data;
mod directory;
mod error;
mod source;
mod walk;
mod xattr;

pub use directory::{Entries, Entry};
pub use error::Error;
pub use source::ReadAt;
pub use walk::{Found, Walk};
pub use xattr::Xattr;

use super::format::{
    self, BLOCK, BLOCK_BITS, COMPAT_CHECKSUM, CompactInode, DataLayout, ExtendedInode, FileType,
    INCOMPAT_CHUNKED, MAGIC, SLOT, SUPER_OFFSET, Superblock,
};
use std::io;
use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, IntoBytes};

/// Names an inode by its slot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Nid(pub u64);

/// An image whose superblock is plausible. Nothing else of it has been looked at.
pub struct Image<S> {
    source: S,
    superblock: Superblock,
    length: u64,
}

/// An inode whose fields are plausible.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Inode {
    /// Which inode it is.
    pub nid: Nid,
    /// What it is.
    pub file_type: FileType,
    /// Permissions with set-id and sticky bits.
    pub permissions: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds since 1970.
    pub mtime: i64,
    /// Nanoseconds of `mtime`.
    pub mtime_nanos: u32,
    /// Names that refer to it.
    pub links: u32,
    /// Length in bytes.
    pub size: u64,
    layout: DataLayout,
    location: u32,
    xattrs_at: u64,
    xattr_bytes: u64,
}

impl Inode {
    /// Major and minor number of a device.
    pub fn device(&self) -> Option<(u32, u32)> {
        matches!(self.file_type, FileType::CharDevice | FileType::BlockDevice)
            .then(|| format::decode_device(self.location))
    }

    /// Where what follows head and xattrs begins.
    fn body_at(&self) -> u64 {
        self.xattrs_at + self.xattr_bytes
    }
}

impl<S: ReadAt> Image<S> {
    /// Checks the superblock, its checksum, and that the image is all there.
    pub fn open(source: S) -> Result<Self, Error> {
        let mut block = [0; BLOCK as usize];
        read_superblock(&source, &mut block[SUPER_OFFSET as usize..])?;
        let superblock = parse_superblock(&mut block[SUPER_OFFSET as usize..])?;
        let length = u64::from(superblock.blocks.get()) * BLOCK;
        let held = source.length().map_err(|source| Error::Io { offset: 0, source })?;
        if held < length {
            return Err(Error::Truncated { length, held });
        }
        Ok(Self { source, superblock, length })
    }

    /// The superblock as it stands in the image.
    pub fn superblock(&self) -> &Superblock {
        &self.superblock
    }

    /// Length of the file system in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The root directory.
    pub fn root(&self) -> Nid {
        Nid(self.superblock.root_nid.get().into())
    }

    /// Reads an inode and checks what can be checked without reading more.
    pub fn inode(&self, nid: Nid) -> Result<Inode, Error> {
        let at = self.position(nid)?;
        let format: U16 = self.object(at)?;
        let inode = if format.get() & 1 == 0 {
            self.compact(nid, at, &self.object(at)?)?
        } else {
            self.extended(nid, at, &self.object(at)?)?
        };
        self.check(&inode)?;
        Ok(inode)
    }

    /// Bytes that an inode takes where inodes stand: itself, its xattrs, and its tail or chunk map.
    /// Not checked against the image's length.
    pub fn record_length(&self, inode: &Inode) -> Result<u64, Error> {
        let head = inode.body_at() - self.position(inode.nid)?;
        Ok(head.saturating_add(self.behind(inode)?))
    }

    /// Everything in the image, each directory before what is in it, siblings by name.
    pub fn walk(&self) -> Walk<'_, S> {
        Walk::new(self)
    }

    fn position(&self, nid: Nid) -> Result<u64, Error> {
        let start = u64::from(self.superblock.meta_block.get()) * BLOCK;
        nid.0
            .checked_mul(SLOT)
            .and_then(|offset| offset.checked_add(start))
            .filter(|at| *at < self.length)
            .ok_or(Error::Corrupt { nid, what: "stands outside the image" })
    }

    fn extended(&self, nid: Nid, at: u64, raw: &ExtendedInode) -> Result<Inode, Error> {
        let mode = raw.mode.get();
        Ok(Inode {
            nid,
            file_type: file_type(nid, mode)?,
            permissions: mode & 0o7777,
            uid: raw.uid.get(),
            gid: raw.gid.get(),
            mtime: raw.mtime.get().cast_signed(),
            mtime_nanos: raw.mtime_nanos.get(),
            links: raw.links.get(),
            size: raw.size.get(),
            layout: data_layout(nid, raw.format.get())?,
            location: raw.location.get(),
            xattrs_at: at + size_of::<ExtendedInode>() as u64,
            xattr_bytes: xattr_bytes(raw.xattr_count.get()),
        })
    }

    fn compact(&self, nid: Nid, at: u64, raw: &CompactInode) -> Result<Inode, Error> {
        let mode = raw.mode.get();
        Ok(Inode {
            nid,
            file_type: file_type(nid, mode)?,
            permissions: mode & 0o7777,
            uid: raw.uid.get().into(),
            gid: raw.gid.get().into(),
            mtime: self.superblock.build_time.get().cast_signed(),
            mtime_nanos: self.superblock.build_nanos.get(),
            links: raw.links.get().into(),
            size: raw.size.get().into(),
            layout: data_layout(nid, raw.format.get())?,
            location: raw.location.get(),
            xattrs_at: at + size_of::<CompactInode>() as u64,
            xattr_bytes: xattr_bytes(raw.xattr_count.get()),
        })
    }

    fn check(&self, inode: &Inode) -> Result<(), Error> {
        let bounds = match inode.file_type {
            FileType::Symlink => 1..=format::PATH_MAX as u64,
            FileType::Directory => 1..=self.length,
            FileType::File => 0..=i64::MAX as u64,
            _ => 0..=0,
        };
        if !bounds.contains(&inode.size) {
            return Err(Error::Corrupt { nid: inode.nid, what: "has an impossible size" });
        }
        if inode.mtime_nanos >= 1_000_000_000 {
            return Err(Error::Corrupt { nid: inode.nid, what: "has a second of 10^9 ns or more" });
        }
        Ok(())
    }

    /// Fills `buffer` from `offset` in the image, all of which must lie inside.
    fn bytes(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.length) {
            return Err(Error::Outside { offset });
        }
        read(&self.source, offset, buffer)
    }

    fn object<T: FromBytes + IntoBytes>(&self, offset: u64) -> Result<T, Error> {
        let mut object = T::new_zeroed();
        self.bytes(offset, object.as_mut_bytes())?;
        Ok(object)
    }
}

fn read(source: &impl ReadAt, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
    source.read_all_at(buffer, offset).map_err(|source| Error::Io { offset, source })
}

/// Bytes that end before it are no image either.
fn read_superblock(source: &impl ReadAt, buffer: &mut [u8]) -> Result<(), Error> {
    source.read_all_at(buffer, SUPER_OFFSET).map_err(|source| match source.kind() {
        io::ErrorKind::UnexpectedEof => Error::NotErofs,
        _ => Error::Io { offset: SUPER_OFFSET, source },
    })
}

fn parse_superblock(bytes: &mut [u8]) -> Result<Superblock, Error> {
    let (superblock, _) = Superblock::read_from_prefix(bytes).map_err(|_| Error::NotErofs)?;
    if superblock.magic.get() != MAGIC {
        return Err(Error::NotErofs);
    }
    refuse_unsupported(&superblock)?;
    if superblock.feature_compat.get() & COMPAT_CHECKSUM != 0 {
        bytes[4..8].fill(0);
        let found = format::checksum(bytes);
        if found != superblock.checksum.get() {
            return Err(Error::Checksum { stored: superblock.checksum.get(), found });
        }
    }
    Ok(superblock)
}

fn refuse_unsupported(superblock: &Superblock) -> Result<(), Error> {
    let unknown = superblock.feature_incompat.get() & !INCOMPAT_CHUNKED;
    if unknown != 0 {
        return Err(Error::Feature(unknown));
    }
    if superblock.block_bits != BLOCK_BITS || superblock.dir_block_bits != 0 {
        return Err(Error::BlockSize(superblock.block_bits));
    }
    Ok(())
}

fn file_type(nid: Nid, mode: u16) -> Result<FileType, Error> {
    FileType::of_mode(mode).ok_or(Error::Corrupt { nid, what: "has no file type" })
}

fn data_layout(nid: Nid, format: u16) -> Result<DataLayout, Error> {
    DataLayout::of_format(format).ok_or(Error::Corrupt { nid, what: "has an unknown data layout" })
}

fn xattr_bytes(count: u16) -> u64 {
    match count {
        0 => 0,
        words => size_of::<format::XattrHeader>() as u64 + 4 * (u64::from(words) - 1),
    }
}
