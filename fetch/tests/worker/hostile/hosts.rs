//! The registry, and another host that has the same.

use std::sync::Arc;

use super::shelf::{PASSWORD, Shelf, TOKEN};
use super::{Answers, Step};
use crate::server::{Peer, Server};

pub(super) struct Hosts {
    registry: Server,
    elsewhere: Server,
}

impl Hosts {
    pub(super) fn open(shelf: &Arc<Shelf>, other: Option<(Step, Answers)>) -> Self {
        let served = Arc::clone(shelf);
        let elsewhere = Server::start_at("127.0.0.2:0", move |peer: Peer| {
            let here = peer.host.clone();
            served.serve(peer, other, &here);
        });
        let (served, there) = (Arc::clone(shelf), elsewhere.host());
        let registry = Server::start(move |peer: Peer| served.serve(peer, other, &there));
        Self { registry, elsewhere }
    }

    /// The registry's host and port.
    pub(super) fn registry(&self) -> String {
        self.registry.host()
    }

    /// How many both were asked.
    pub(super) fn requests(&self) -> usize {
        self.registry.heads().len() + self.elsewhere.heads().len()
    }

    /// Whether the other host was told nothing that is the registry's to know.
    pub(super) fn kept_secrets(&self) -> Result<(), String> {
        match self.elsewhere.heads().into_iter().find(|head| tells(head)) {
            Some(head) => Err(format!("another host was told: {head:?}")),
            None => Ok(()),
        }
    }
}

fn tells(head: &str) -> bool {
    head.to_ascii_lowercase().contains("authorization")
        || [PASSWORD, TOKEN].iter().any(|secret| head.contains(secret))
}
