//! How far a build is, for whoever shows it.

/// A part of a build that takes long enough to be shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Layers are read, checked and unpacked: bytes of their blobs.
    Layers,
    /// Layers are merged: how many.
    Merge,
    /// A directory is read: bytes of its files.
    Directory,
    /// The image is written: bytes of it.
    Write,
    /// The hash tree is made: bytes of the image.
    Hash,
    /// An earlier image is fetched: bytes of it.
    Fetch,
    /// The image is compressed for a registry: bytes of it.
    Compress,
    /// A delta from an older image is made: bytes of the image.
    Delta,
    /// Blobs are pushed: bytes of them.
    Push,
}

/// Is told how far a build is, by many threads at once.
pub trait Progress: Sync {
    /// A phase begins; `None` where its size is not known before its end.
    fn begin(&self, phase: Phase, total: Option<u64>);

    /// So much more of the phase is done.
    fn advance(&self, amount: u64);
}

/// Shows nothing.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: Phase, _: Option<u64>) {}

    fn advance(&self, _: u64) {}
}
