//! The rig that boots real machines: QEMU, Debian's kernels, images made on the spot, and an agent in the guest.
//!
//! A story describes a machine ([`Vm`]), boots it, waits for what the machine reports about itself and asks
//! the agent for facts. Nothing is read off the console, and nothing waits by sleeping.
#![forbid(unsafe_code)]

pub mod agent;
pub mod walk;

#[cfg(feature = "harness")]
mod accelerator;
#[cfg(feature = "harness")]
pub mod cache;
#[cfg(feature = "harness")]
pub mod cargo;
#[cfg(feature = "harness")]
mod container;
#[cfg(feature = "harness")]
pub mod host;
#[cfg(feature = "harness")]
pub mod initramfs;
#[cfg(feature = "harness")]
pub mod kernel;
#[cfg(feature = "harness")]
mod layer;
#[cfg(feature = "harness")]
mod machine;
#[cfg(feature = "harness")]
pub mod power_cut;
#[cfg(feature = "harness")]
mod qmp;
#[cfg(feature = "harness")]
mod registry;
#[cfg(feature = "harness")]
mod release;
#[cfg(feature = "harness")]
mod report;
#[cfg(feature = "harness")]
mod state;
#[cfg(feature = "harness")]
mod vm;
#[cfg(feature = "harness")]
pub mod yardstick;

#[cfg(feature = "harness")]
pub use {
    accelerator::Accelerator,
    container::{Base, ContainerImage},
    kernel::{Kernel, Series},
    machine::{End, Machine},
    registry::{Network, Registry},
    release::{Initrd, Keys, Release},
    report::Report,
    state::{Ext4, State},
    vm::{Board, Disk, Vm},
};
