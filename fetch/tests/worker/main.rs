//! The worker as machines run it: the program itself, shut in, with files that it was handed, against Debian's
//! docker-registry. Needs root, to start it as another user and in a network of its own.

mod hostile;
mod interrupted;
mod memory;
mod named;
mod network;
mod offline;
mod passage;
mod published;
#[path = "../../../registry/tests/client/registry.rs"]
#[allow(dead_code, reason = "the client's tests use the rest")]
mod registry;
#[path = "../../../registry/tests/server/mod.rs"]
#[allow(dead_code, reason = "the client's tests use the rest")]
mod server;
mod starter;
#[path = "../../../transfer/tests/support/mod.rs"]
mod support;

/// The program that is started.
fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_pintle-fetch")
}
