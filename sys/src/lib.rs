//! Every unsafe line of pintle: ioctls, signals, process creation.
//!
//! *Invariant:* no other crate of the workspace contains `unsafe`. What rustix or nix wrap
//! safely is called there directly; what they lack is wrapped here, one concept a file.
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

pub mod cgroup;
pub mod crash;
pub mod dm;
mod error;
pub mod exec;
pub mod fsverity;
pub mod inherited;
mod ioctl;
pub mod loopdev;
pub mod signals;
pub mod spawn;
pub mod uevent;
pub mod watchdog;

pub use error::{Error, Purpose, Result};
