//! OCI image in; EROFS image, hash tree, seal, initramfs and disk out.
#![forbid(unsafe_code)]

pub mod build;
pub mod cpio;
pub mod cuts;
pub mod deb;
pub mod disk;
pub mod erofs;
pub mod error;
pub mod initrd;
pub mod inspect;
pub mod keygen;
pub mod kmod;
pub mod layer;
pub mod parallel;
pub mod progress;
pub mod push;
pub mod release;
pub mod scratch;
pub mod source;
pub mod spool;
pub mod tree;
pub mod verify;
pub mod vmlinuz;

pub use error::{Error, Result};
