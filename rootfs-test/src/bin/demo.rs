//! `cargo boot`: shows what pintle does.
#![forbid(unsafe_code)]

fn main() {}
