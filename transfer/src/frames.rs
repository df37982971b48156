//! An image as zstd frames that can be decoded one by one, and the table of where they are.
//!
//! Source: zstd's seekable format (`contrib/seekable_format/zstd_seekable_compression_format.md`),
//! narrowed down: whole blocks in each frame, limits of both its sizes, no checksums (each block has its leaf).

#[cfg(feature = "make")]
mod compress;
mod decode;
mod seek_table;

#[cfg(feature = "make")]
pub use compress::{Effort, Recipe, compress};
pub use decode::Decoder;
pub use seek_table::{Frame, SeekTable};

/// Blocks in a frame at most: 1 MiB, which is decoded in memory.
pub const MAX_BLOCKS: u64 = 256;

/// Bytes of a frame at most: what a cut in it costs to fetch again.
pub const MAX_FRAME: usize = 192 << 10;
