//! A release in a registry, and a machine that fetches it.

use std::fs::File;
use std::io::Cursor;

use pintle_registry::{Blob, Client, Limits, Reference, Settings};
use pintle_update::worker::{self, Job, Said, Task, Transport};
use pintle_verify::{Digest, KeySet, SigningKey};

use crate::registry::{Door, Registry};
use crate::starter::Worker;
use crate::support::{Machine, Release};

const REPOSITORY: &str = "os/kiosk";

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A release, and the registry that it is in.
pub(crate) struct Published {
    registry: Registry,
    pub(crate) release: Release,
    manifest: Digest,
}

impl Published {
    pub(crate) fn new(release: Release) -> Self {
        let registry = Registry::start(&Door::Open);
        let reference: Reference = format!("{}/{REPOSITORY}", registry.host()).parse().unwrap();
        let plain = [registry.host()].into();
        let settings = Settings { plain, limits: Limits::default(), ..Settings::default() };
        let mut client = Client::new(settings).unwrap();
        for bytes in release.blobs.values() {
            let mut from = Cursor::new(bytes);
            client.upload(&reference, Blob::of(bytes), &mut from, &mut |_| {}).unwrap();
        }
        let manifest = release.manifest.to_bytes();
        let at = reference.with_digest(Digest::of(&manifest));
        let manifest = client.put_manifest(&at, MANIFEST, &manifest).unwrap();
        Self { registry, release, manifest }
    }

    pub(crate) fn host(&self) -> String {
        self.registry.host()
    }

    /// A worker that fetches the release into the machine's files, from what listens at `host`.
    pub(crate) fn fetch(&self, machine: &Machine, host: &str) -> Worker {
        let sources = machine.sources.iter().map(|source| source.root_hash).collect();
        let keys = KeySet::new(vec![SigningKey::generate(&[1; 32]).public()], 1).unwrap();
        let task = Task::Fetch {
            manifest: self.manifest,
            seal: self.release.seal_file.clone(),
            keys: keys.to_bytes(),
            sources,
            budget: None,
        };
        let source = worker::Source::Registry(Box::new(registry(host)));
        Worker::start(&Job { source, task }, &files(machine))
    }

    /// Fails unless the worker has done it.
    pub(crate) fn is_fetched(&self, machine: &Machine, heard: &[Said]) {
        assert!(matches!(heard.last(), Some(Said::Fetched { .. })), "{heard:?}");
        machine.has(&self.release);
    }
}

fn registry(host: &str) -> worker::Registry {
    worker::Registry {
        reference: format!("{host}/{REPOSITORY}:stable"),
        mirrors: vec![],
        credentials: None,
        authorities: vec![],
        resolv_conf: vec![],
        hosts: vec![],
        proxy: None,
        transport: Transport::Plain,
        stall_limit: 600_000,
        total_limit: 600_000,
        seed: 7,
        tokens: vec![],
    }
}

fn files(machine: &Machine) -> Vec<&File> {
    let target = &machine.target;
    let mut files = vec![&target.image, &target.tree, &target.delta];
    files.extend(machine.sources.iter().flat_map(|source| [&source.image, &source.tree]));
    files
}
