//! `pintle push` against registries that others wrote, with what others use beside it: skopeo and podman. Needs root, for
//! podman.
#![forbid(unsafe_code)]

#[path = "../../../registry/tests/client/registry.rs"]
#[allow(dead_code, reason = "the client's own tests use the rest")]
mod registry;
#[path = "../build/workshop.rs"]
#[allow(dead_code, reason = "the tests of other commands use the rest")]
mod workshop;

mod conforming;
mod containers;
mod copies;
mod deltas;
mod frames;
mod layouts;
mod mistakes;
mod shop;
