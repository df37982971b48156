//! A client of OCI registries, by the
//! [distribution specification](https://github.com/opencontainers/distribution-spec/blob/main/spec.md):
//! references, credentials, limits, ranges, uploads.
//!
//! It blocks, and after [`Client::new`] it opens no file: all that it needs to know comes in by
//! [`Settings`]. Whatever a registry sends has a limit of size, count and time, [`Limits`]; what it says
//! about itself is believed only where a digest proves it.

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

mod auth;
mod backoff;
mod blob;
mod challenge;
mod client;
mod content_range;
mod credentials;
pub mod dns;
mod error;
mod json;
mod limits;
mod manifest;
mod meter;
mod names;
mod range;
mod realm;
mod reference;
mod refusal;
mod resolver;
mod settings;
mod target;
mod tokens;
mod upload;
mod wire;

pub use blob::Blob;
pub use challenge::Challenge;
pub use client::Client;
pub use content_range::ContentRange;
pub use credentials::{Credential, Credentials};
pub use error::{Cause, Error};
pub use limits::Limits;
pub use manifest::{Answer, Known};
pub use meter::Traffic;
pub use names::Names;
pub use range::Range;
pub use reference::Reference;
pub use settings::{Proxy, Settings};
pub use tokens::Tokens;
