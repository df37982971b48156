//! A delta: how a machine makes a new image out of one that it has.
//!
//! The format is in `docs/formats/release.md`. A delta says where bytes of the older image are to be copied from, what is to be
//! added to them byte by byte, and what is new, as bsdiff does; it knows nothing of file systems. Nobody has signed it: it is
//! right if the image that it makes has the seal's root hash.

mod apply;
#[cfg(feature = "make")]
mod make;
#[cfg(feature = "make")]
mod pairs;
mod varint;
#[cfg(feature = "make")]
mod write;

pub(crate) use apply::apply;
#[cfg(feature = "make")]
pub use make::{Side, make};
#[cfg(feature = "make")]
pub use pairs::Extent;

/// What the content begins with.
const MAGIC: &[u8; 16] = b"pintle delta v1\n";

/// How far back the compression may reach: 16 MiB, a quarter of what the worker may have.
const WINDOW_LOG: u32 = 24;

/// Bytes of a section's operations, of what it adds, and of what is new in it: they are in memory together.
const MAX_OPERATIONS: usize = 64 << 10;
const MAX_ADDED: usize = 4 << 20;
const MAX_NEW: usize = 4 << 20;

/// What an operation does, in this order: bytes that are copied from the older image, bytes that are made by adding to those
/// that follow there, bytes that are new, and how far the place in the older image moves then.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Operation {
    copy: u64,
    add: u64,
    new: u64,
    seek: i64,
}
