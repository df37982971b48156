//! Layers and sources: image-spec layer.md rule by rule, tars that somebody made to hurt, and the
//! same images as umoci, skopeo and GNU tar understand them. Needs root, as `umoci raw unpack`
//! does.
#![forbid(unsafe_code)]

#[path = "../image/facts.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod facts;
mod invariants;
mod layout;
mod outcome;
mod program;
mod tarball;

mod directory;
mod formats;
mod gnu_tar;
mod hostile;
mod mutations;
mod rules;
mod sources;
mod umoci;
