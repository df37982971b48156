//! Seals, keys, digests and verity trees: bytes to [`Verified<T>`].
//!
//! Bytes from a disk or a network arrive as [`Unverified`]; [`KeySet::verify`] is the one way to
//! turn them into a [`Verified<Seal>`], and what mounts, boots or installs demands one. Nothing
//! here touches the kernel.

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

mod architecture;
mod canonical;
mod digest;
mod error;
mod hex;
mod image_id;
mod key;
mod key_set;
mod percent;
mod salt;
mod seal;
mod uuid;
mod verified;
pub mod verity;
mod version;

pub use architecture::Architecture;
pub use digest::Digest;
pub use error::{Error, Weakness};
pub use image_id::ImageId;
pub use key::{KeyId, PublicKey, SigningKey};
pub use key_set::KeySet;
pub use percent::Percent;
pub use salt::Salt;
pub use seal::{Seal, peek, seal_digest, signers};
pub use uuid::Uuid;
pub use verified::{Expect, Refusal, Unverified, Verified};
pub use version::Version;
