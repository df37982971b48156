//! The power-cut rig: what a disk was told is recorded, and the states that a cut could have left of it are booted.
//!
//! What it shows, and what not: `docs/power-cuts.md`. The tests: `tests/power_cut.rs`.

pub mod act;
pub mod cut;
pub mod disk;
pub mod machine;
pub mod mounts;
pub mod recorder;
pub mod seen;
pub mod write_log;
