//! The structures of the kernel's `fs/erofs/erofs_fs.h`, as far as uncompressed images use them.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes in a block; the only size that every kernel with 4 KiB pages mounts.
pub const BLOCK: u64 = 4096;
/// Binary logarithm of [`BLOCK`].
pub const BLOCK_BITS: u8 = 12;
/// Bytes in an inode slot: an inode stands at `meta_block * BLOCK + nid * SLOT`.
pub const SLOT: u64 = 32;
/// Where the superblock stands.
pub const SUPER_OFFSET: u64 = 1024;
/// The superblock's magic number.
pub const MAGIC: u32 = 0xE0F5_E1E2;
/// Longest file name, in bytes.
pub const NAME_MAX: usize = 255;
/// Longest path in bytes, one less than Linux's `PATH_MAX`: nothing could open a file by a longer
/// one.
pub const PATH_MAX: usize = 4095;
/// A chunk map's entry for a hole.
pub const HOLE: u32 = u32::MAX;
/// Bytes in a chunk map's entry.
pub const MAP_ENTRY: u64 = 4;

/// Compatible feature: the superblock has a checksum.
pub const COMPAT_CHECKSUM: u32 = 0x1;
/// Compatible feature: inodes have their own times.
pub const COMPAT_MTIME: u32 = 0x2;
/// Incompatible feature: there are chunk-based files (Linux 5.15).
pub const INCOMPAT_CHUNKED: u32 = 0x4;

/// The superblock, 128 bytes at [`SUPER_OFFSET`].
#[derive(Clone, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Superblock {
    /// [`MAGIC`].
    pub magic: U32,
    /// CRC-32C without the final inversion, over the block from [`SUPER_OFFSET`] with this field
    /// zero.
    pub checksum: U32,
    /// `COMPAT_*`.
    pub feature_compat: U32,
    /// [`BLOCK_BITS`].
    pub block_bits: u8,
    /// Slots of 16 bytes that follow; none in our images.
    pub extra_slots: u8,
    /// The root directory's inode.
    pub root_nid: U16,
    /// How many inodes there are.
    pub inodes: U64,
    /// Time of inodes without one of their own, in seconds since 1970; ours all have one.
    pub build_time: U64,
    /// Nanoseconds of `build_time`.
    pub build_nanos: U32,
    /// Length of the image in blocks.
    pub blocks: U32,
    /// First block of the inodes.
    pub meta_block: U32,
    /// First block of the shared xattrs.
    pub xattr_block: U32,
    /// Identifies the file system.
    pub uuid: [u8; 16],
    /// Label; ours have none.
    pub volume_name: [u8; 16],
    /// `INCOMPAT_*`.
    pub feature_incompat: U32,
    /// Of compressed images.
    pub compression: U16,
    /// Of images that span devices.
    pub extra_devices: U16,
    /// Of images that span devices.
    pub device_table: U16,
    /// Binary logarithm of blocks in a directory block.
    pub dir_block_bits: u8,
    /// How many long xattr name prefixes there are.
    pub xattr_prefixes: u8,
    /// Where they are.
    pub xattr_prefix_start: U32,
    /// Of images with fragments.
    pub packed_nid: U64,
    /// Of images with an xattr filter.
    pub xattr_filter: u8,
    /// Zero.
    pub reserved: [u8; 23],
}

/// How an inode's data is stored: bits 1 to 3 of its format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum DataLayout {
    /// Consecutive blocks.
    FlatPlain = 0,
    /// Consecutive blocks, the last one behind the inode.
    FlatInline = 2,
    /// Chunks of equal length, each at its own block, holes for some.
    ChunkBased = 4,
}

impl DataLayout {
    /// The layout that an inode's format names, if uncompressed images have it.
    pub fn of_format(format: u16) -> Option<Self> {
        match format >> 1 {
            0 => Some(Self::FlatPlain),
            2 => Some(Self::FlatInline),
            4 => Some(Self::ChunkBased),
            _ => None,
        }
    }

    /// The format of an [`ExtendedInode`] whose data is stored so.
    pub fn extended_format(self) -> u16 {
        (self as u16) << 1 | 1
    }
}

/// An inode of 64 bytes.
#[derive(Clone, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ExtendedInode {
    /// Bit 0 set, then the [`DataLayout`].
    pub format: U16,
    /// 0, or 1 + words of 4 bytes behind the [`XattrHeader`].
    pub xattr_count: U16,
    /// File type and permissions.
    pub mode: U16,
    /// Zero.
    pub reserved: U16,
    /// Length in bytes.
    pub size: U64,
    /// First block, device number or chunk format, as mode and format say.
    pub location: U32,
    /// Number for 32-bit `stat`; Linux derives it from the nid instead.
    pub number: U32,
    /// Owner.
    pub uid: U32,
    /// Group.
    pub gid: U32,
    /// Seconds since 1970, two's complement.
    pub mtime: U64,
    /// Nanoseconds, below 10^9.
    pub mtime_nanos: U32,
    /// Names that refer to it.
    pub links: U32,
    /// Zero.
    pub reserved2: [u8; 16],
}

/// An inode of 32 bytes, with the superblock's time. We write none but read them.
#[derive(Clone, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct CompactInode {
    /// Bit 0 clear, then the [`DataLayout`].
    pub format: U16,
    /// As [`ExtendedInode::xattr_count`].
    pub xattr_count: U16,
    /// File type and permissions.
    pub mode: U16,
    /// Names that refer to it.
    pub links: U16,
    /// Length in bytes.
    pub size: U32,
    /// Zero.
    pub reserved: U32,
    /// As [`ExtendedInode::location`].
    pub location: U32,
    /// As [`ExtendedInode::number`].
    pub number: U32,
    /// Owner.
    pub uid: U16,
    /// Group.
    pub gid: U16,
    /// Zero.
    pub reserved2: U32,
}

/// What an inode's xattrs begin with; then come the ids of shared ones, then the inline ones.
#[derive(Clone, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct XattrHeader {
    /// Name filter; zero where the superblock does not announce one.
    pub name_filter: U32,
    /// How many ids of shared xattrs follow, 4 bytes each.
    pub shared_count: u8,
    /// Zero.
    pub reserved: [u8; 7],
}

/// Head of one xattr; then come the name without its prefix and the value, padded to 4 bytes.
#[derive(Clone, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct XattrEntry {
    /// Bytes of the name without its prefix.
    pub name_length: u8,
    /// Number of the prefix, see [`XATTR_PREFIXES`].
    pub name_index: u8,
    /// Bytes of the value.
    pub value_size: U16,
}

/// A directory entry; a block begins with all of its entries, then come their names in the same
/// order.
#[derive(Clone, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Dirent {
    /// The inode.
    pub nid: U64,
    /// Where in the block the name begins.
    pub name_offset: U16,
    /// [`FileType`].
    pub file_type: u8,
    /// Zero.
    pub reserved: u8,
}

/// Bytes of a [`Dirent`].
pub const DIRENT: usize = size_of::<Dirent>();
/// Bytes of an [`ExtendedInode`].
pub const INODE: usize = size_of::<ExtendedInode>();

/// Namespaces of extended attributes by their number on disk. A name that equals a whole prefix
/// without a trailing dot stores nothing of itself.
pub const XATTR_PREFIXES: [(u8, &[u8]); 5] = [
    (1, b"user."),
    (2, b"system.posix_acl_access"),
    (3, b"system.posix_acl_default"),
    (4, b"trusted."),
    (6, b"security."),
];

/// A directory entry's type, the kernel's `FT_*`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum FileType {
    /// Regular file.
    File = 1,
    /// Directory.
    Directory = 2,
    /// Character device.
    CharDevice = 3,
    /// Block device.
    BlockDevice = 4,
    /// Named pipe.
    Fifo = 5,
    /// Socket.
    Socket = 6,
    /// Symbolic link.
    Symlink = 7,
}

impl FileType {
    /// The type in a `st_mode`, if it is one.
    pub fn of_mode(mode: u16) -> Option<Self> {
        match mode & 0o170_000 {
            0o010_000 => Some(Self::Fifo),
            0o020_000 => Some(Self::CharDevice),
            0o040_000 => Some(Self::Directory),
            0o060_000 => Some(Self::BlockDevice),
            0o100_000 => Some(Self::File),
            0o120_000 => Some(Self::Symlink),
            0o140_000 => Some(Self::Socket),
            _ => None,
        }
    }

    /// Its bits in a `st_mode`.
    pub fn mode(self) -> u16 {
        match self {
            Self::Fifo => 0o010_000,
            Self::CharDevice => 0o020_000,
            Self::Directory => 0o040_000,
            Self::BlockDevice => 0o060_000,
            Self::File => 0o100_000,
            Self::Symlink => 0o120_000,
            Self::Socket => 0o140_000,
        }
    }
}

/// The superblock's checksum, over `block` from [`SUPER_OFFSET`] on, its checksum field being zero.
pub fn checksum(block: &[u8]) -> u32 {
    !crc32c::crc32c(block)
}

/// A device number as inodes store it (the kernel's `new_encode_dev`), if it fits: 12 bits of
/// major, 20 of minor.
pub fn encode_device(major: u32, minor: u32) -> Option<u32> {
    (major < 1 << 12 && minor < 1 << 20)
        .then_some((minor & 0xff) | major << 8 | (minor & !0xff) << 12)
}

/// Major and minor number of a device that [`encode_device`] stored.
pub fn decode_device(number: u32) -> (u32, u32) {
    ((number >> 8) & 0xfff, (number & 0xff) | (number >> 12) & 0xf_ff00)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_have_the_kernels_sizes() {
        assert_eq!(size_of::<Superblock>(), 128);
        assert_eq!(size_of::<ExtendedInode>(), 64);
        assert_eq!(size_of::<CompactInode>(), 32);
        assert_eq!(size_of::<XattrHeader>(), 12);
        assert_eq!(size_of::<XattrEntry>(), 4);
        assert_eq!(size_of::<Dirent>(), 12);
    }

    #[test]
    fn device_numbers_survive() {
        for (major, minor) in [(0, 0), (1, 3), (8, 255), (259, 256), (4095, 1_048_575)] {
            assert_eq!(decode_device(encode_device(major, minor).unwrap()), (major, minor));
        }
        assert_eq!(encode_device(4096, 0), None);
        assert_eq!(encode_device(0, 1 << 20), None);
    }
}
