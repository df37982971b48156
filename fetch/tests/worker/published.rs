//! A release in a registry, and a machine that fetches it.

use std::fs::File;
use std::io::Cursor;

use pintle_registry::{Blob, Client, Limits, Reference, Settings};
use pintle_transfer::delta::{Side, make};
use pintle_transfer::document::DeltaLayer;
use pintle_update::worker::{self, Job, Said, Task, Transport};
use pintle_verify::{Digest, KeySet, SigningKey};

use crate::registry::{Door, Registry};
use crate::starter::Worker;
use crate::support::{Machine, Release, blob_of, file_of, tree_of};

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
        self.fetch_within(machine, host, None)
    }

    /// The same with a limit of address space.
    pub(crate) fn fetch_within(
        &self,
        machine: &Machine,
        host: &str,
        memory: Option<u64>,
    ) -> Worker {
        self.start(machine, registry(host), memory)
    }

    /// The same from a host with a name.
    pub(crate) fn fetch_named(&self, machine: &Machine, host: &str, resolv_conf: &[u8]) -> Worker {
        let registry = worker::Registry { resolv_conf: resolv_conf.to_vec(), ..registry(host) };
        self.start(machine, registry, None)
    }

    fn start(&self, machine: &Machine, registry: worker::Registry, memory: Option<u64>) -> Worker {
        let sources = machine.sources.iter().map(|source| source.root_hash).collect();
        let keys = KeySet::new(vec![SigningKey::generate(&[1; 32]).public()], 1).unwrap();
        let task = Task::Fetch {
            manifest: self.manifest,
            seal: self.release.seal_file.clone(),
            keys: keys.to_bytes(),
            sources,
            budget: None,
        };
        let source = worker::Source::Registry(Box::new(registry));
        Worker::start(&Job { source, task }, &files(machine), memory)
    }

    /// A machine that waits for it.
    pub(crate) fn machine(&self, old: &[u8]) -> Machine {
        prepared(&self.release, old)
    }

    /// Fails unless the worker has done it.
    pub(crate) fn is_fetched(&self, machine: &Machine, heard: &[Said]) {
        assert!(matches!(heard.last(), Some(Said::Fetched { .. })), "{heard:?}");
        machine.has(&self.release);
    }
}

/// A machine with this older image, if it is one, that has taken the space for the release.
pub(crate) fn prepared(release: &Release, old: &[u8]) -> Machine {
    let machine = Machine::with(if old.is_empty() { &[] } else { std::slice::from_ref(&old) });
    machine.target.image.set_len(release.image.len() as u64).unwrap();
    machine.target.tree.set_len(release.tree.len() as u64).unwrap();
    machine
}

pub(crate) fn registry(host: &str) -> worker::Registry {
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

pub(crate) fn files(machine: &Machine) -> Vec<&File> {
    let target = &machine.target;
    let mut files = vec![&target.image, &target.tree, &target.delta];
    files.extend(machine.sources.iter().flat_map(|source| [&source.image, &source.tree]));
    files
}

/// The release with a delta from `old`, which is the best way by far.
pub(crate) fn with_delta(mut release: Release, old: &[u8]) -> Release {
    let folder = tempfile::tempdir().unwrap();
    let side = |name, image: &[u8]| -> (File, Vec<_>) {
        (file_of(&folder.path().join(name), image), tree_of(image).leaves().to_vec())
    };
    let (from, to) = (side("old", old), side("new", &release.image));
    let [from, to] = [&from, &to].map(|(image, leaves)| Side { image, leaves, files: &[] });
    let mut delta = Vec::new();
    make(&from, &to, &mut delta, &|_| {}).unwrap();
    let blob = blob_of(&delta);
    let from = tree_of(old).root();
    release.manifest.deltas = vec![DeltaLayer { blob, from, instead_of: Some(u64::MAX) }];
    release.blobs.insert(blob.digest, delta);
    release
}
