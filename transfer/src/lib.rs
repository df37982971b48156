//! How a release is kept in a registry, and how its bytes come to a machine.
//!
//! `document`, `frames` and `plan` are pure; `tree`, `local`, `receive` and `layout` alone touch files.
//! Nothing that is read here is trusted but the seal: every block is held against a hash that
//! leads up to the seal's root hash before it is written.
//!
//! The formats: `docs/formats/release.md`.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::let_underscore_must_use
    )
)]

mod blobs;
mod block_file;
pub mod delta;
pub mod document;
mod error;
pub mod frames;
pub mod layout;
mod local;
pub mod plan;
mod receive;
mod tree;

pub use blobs::{Blob, Blobs};
pub use error::Error;
pub use local::Source;
pub use receive::{Phase, Progress, Received, Receiver, Target};
