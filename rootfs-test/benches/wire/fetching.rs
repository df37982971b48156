//! A machine that fetches with the worker that is shipped.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use pintle_rootfs_test::cargo::Binary;
use pintle_update::worker::{self, Checked, Job, Said, Task, Traffic, Transport};
use pintle_verify::verity::Geometry;
use pintle_verify::{Architecture, KeySet, SigningKey, peek};
use tempfile::TempDir;

use starter::Worker;

#[path = "../../../fetch/tests/worker/starter.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod starter;

/// With one older image.
pub(crate) struct Machine {
    folder: TempDir,
    old: PathBuf,
    registry: worker::Registry,
    known: Option<Vec<u8>>,
}

impl Machine {
    pub(crate) fn with(old: &Path, (reference, ca): (&str, &Path)) -> Result<Self> {
        let registry = worker::Registry {
            reference: reference.to_owned(),
            mirrors: vec![],
            credentials: None,
            authorities: fs::read(ca)?,
            resolv_conf: vec![],
            hosts: vec![],
            proxy: None,
            transport: Transport::Tls,
            stall_limit: 600_000,
            total_limit: 3_600_000,
            seed: 7,
            tokens: vec![],
        };
        Ok(Self { folder: TempDir::new()?, old: old.to_owned(), registry, known: None })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// All that it takes to get from the tag to the image.
    pub(crate) fn fetch(&mut self) -> Result<Traffic> {
        let checked = self.check()?;
        let found = checked.release.context("there is no release")?;
        let key = pintle_rootfs_test::Keys::of("builder")?.private();
        let key = SigningKey::from_pem(&fs::read_to_string(key)?)?;
        let task = Task::Fetch {
            manifest: found.manifest,
            seal: found.seal.clone(),
            keys: KeySet::new(vec![key.public()], 1)?.to_bytes(),
            sources: vec![peek(&fs::read(self.old.join("seal"))?)?.root_hash],
            budget: None,
        };
        let seal = peek(&found.seal)?;
        let files =
            self.files(&[seal.image_size, Geometry::of_image(seal.image_size)?.tree_size(), 0])?;
        let files: Vec<&File> = files.iter().collect();
        match self.work(task, &files)? {
            Said::Fetched { traffic } => Ok(sum(checked.traffic, traffic)),
            other => bail!("{other:?}"),
        }
    }

    /// What it takes to find that nothing has changed.
    pub(crate) fn check_again(&mut self) -> Result<Traffic> {
        let known = self.known.clone();
        match self.work(Task::Check { architecture: Architecture::X86_64, known }, &[])? {
            Said::Unchanged { traffic, .. } => Ok(traffic),
            other => bail!("{other:?}"),
        }
    }

    fn check(&mut self) -> Result<Checked> {
        match self.work(Task::Check { architecture: Architecture::X86_64, known: None }, &[])? {
            Said::Checked(checked) => {
                self.known.clone_from(&checked.known);
                self.registry.tokens.clone_from(&checked.tokens);
                Ok(checked)
            }
            other => bail!("{other:?}"),
        }
    }

    fn work(&self, task: Task, files: &[&File]) -> Result<Said> {
        let source = worker::Source::Registry(Box::new(self.registry.clone()));
        let heard = Worker::start(&Job { source, task }, files, None).hear();
        heard.into_iter().last().context("the worker said nothing")
    }

    /// The files that it fills, with their space taken, and those that it copies from.
    fn files(&self, sizes: &[u64; 3]) -> Result<Vec<File>> {
        let mut files = Vec::new();
        for (name, size) in ["root.img", "root.tree", "delta"].iter().zip(sizes) {
            let path = self.folder().join(name);
            let file =
                File::options().read(true).write(true).create(true).truncate(true).open(path)?;
            file.set_len(*size)?;
            files.push(file);
        }
        for name in ["root.img", "root.tree"] {
            files.push(File::open(self.old.join(name))?);
        }
        Ok(files)
    }
}

/// The program that is started.
#[allow(clippy::unwrap_used, reason = "without it there is nothing to measure")]
pub(crate) fn binary() -> PathBuf {
    Binary::Fetch.build().unwrap()
}

fn sum(a: Traffic, b: Traffic) -> Traffic {
    Traffic {
        requests: a.requests + b.requests,
        sent: a.sent + b.sent,
        received: a.received + b.received,
    }
}
