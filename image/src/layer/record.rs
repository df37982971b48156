//! What a layer changes, as it waits in the spool for its turn to be merged.

use serde::{Deserialize, Serialize};

use super::tar::Run;

/// An entry whose name is checked and whose data is in the spool.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Record<'a> {
    /// Where it is in the tar.
    pub(super) at: u64,
    /// Its path; empty for the root.
    pub(super) path: &'a [u8],
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: i64,
    pub(super) mtime_nanos: u32,
    #[serde(borrow)]
    pub(super) xattrs: Vec<(&'a [u8], &'a [u8])>,
    #[serde(borrow)]
    pub(super) kind: RecordKind<'a>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum RecordKind<'a> {
    Directory,
    File(Stored),
    Hardlink(&'a [u8]),
    Symlink(&'a [u8]),
    CharDevice(u32, u32),
    BlockDevice(u32, u32),
    Fifo,
}

/// A file's data: its runs stand one behind the other from `spool` on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) size: u64,
    pub(super) spool: u64,
    pub(super) runs: Vec<Run>,
}

/// A whiteout, opaque if it names nothing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Removal<'a> {
    pub(super) at: u64,
    pub(super) directory: &'a [u8],
    pub(super) name: Option<&'a [u8]>,
}
