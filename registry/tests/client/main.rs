//! The client against Debian's docker-registry, through everything that stands between them.

#[path = "../server/mod.rs"]
#[allow(dead_code, reason = "the hostile tests use the rest")]
mod server;
#[path = "../server/settings.rs"]
mod settings;

mod authentication;
mod cuts;
mod cutter;
mod detours;
mod pull_and_push;
mod registry;
mod token_server;
