//! Installed images: their names, which one boots, how its tries are counted, and the rules by
//! which the store that holds them changes.
//!
//! What to do is planned by pure functions that take listings and return [`Step`]s; `hands`,
//! `installer`, `trash` and `listing` alone touch the kernel. [`Store`] puts the two together.
//!
//! The names, the files and what a power cut leaves of them: `docs/formats/state.md`.

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

// The tests' helpers are shared with those in `tests/`, which know the crate by its name.
#[cfg(test)]
extern crate self as pintle_update;

mod error;
mod fetched;
mod files;
mod hands;
pub mod install;
mod installer;
mod keep;
mod kept_path;
mod listing;
mod mark;
mod name;
pub mod plan;
pub mod reset;
pub mod schedule;
pub mod scrub;
mod select;
mod state;
mod step;
mod store;
mod trash;
mod trust;
pub mod worker;

pub use error::{Error, Refused};
pub use fetched::{Begun, Incoming, Room, Wanted};
pub use files::{EntryFiles, Piece};
pub use install::{BadSeals, InstallStep, Installed};
pub use kept_path::KeptPath;
pub use listing::Listing;
pub use mark::Mark;
pub use name::EntryName;
pub use select::select;
pub use state::{EntryState, Event, Tries};
pub use step::{Place, Step};
pub use store::{Reset, Store};
pub use trash::Emptied;
pub use trust::{BadSeal, Hold, Trust};
