//! Devices, verity, EROFS, overlays: what stage 1 mounts and the end of the machine takes down.
//!
//! *Invariant:* an image is mounted from the very descriptor that was measured or mapped, and only
//! with a [`Verified<Seal>`](pintle_verify::Verified) in hand.
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

pub mod base;
mod block_device;
pub mod corruption;
pub mod devices;
mod error;
pub mod ext4;
pub mod feeding;
mod kernel_log;
pub mod modalias;
pub mod modules;
mod mountinfo;
mod new_mount;
pub mod overlay;
pub mod partition;
pub mod repair;
mod root;
pub mod state;
pub mod superblock;
mod switch_root;
pub mod teardown;
mod verity_dm;
mod verity_fs;

pub use block_device::BlockDevice;
pub use error::{Cause, Error, Missing, Result};
pub use root::{Image, Root, Way, map_and_mount};
pub use switch_root::switch_root;
