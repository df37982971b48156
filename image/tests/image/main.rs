//! Images and releases against their own readers, against other projects' tools and against the
//! running kernel. Needs root, for mounts, and Linux 6.12, for mounts of files.
#![forbid(unsafe_code)]

mod continued;
mod facts;
mod invariant;
mod written;
mod zoo;

mod accepted;
mod canonical;
mod continuity;
mod extremes;
mod hostile;
mod inspected;
mod mkfs;
mod refused;
mod release;
