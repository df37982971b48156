//! The worker that fetches releases: it alone speaks to networks and parses what they say.
//!
//! [`sandbox`] is what it shuts itself in with before it reads a byte from a network.

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

pub mod sandbox;
