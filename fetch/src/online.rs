//! A release in a registry.

use std::io::{self, Read};
use std::ops::Range;
use std::time::Duration;

use pintle_registry::{
    Answer, Blob as RegistryBlob, Client, Credentials, Error as RegistryError, Known, Limits,
    Names, Proxy, Reference, Settings, Tokens,
};
use pintle_transfer::{Blob, Blobs};
use pintle_update::worker::{self, Registry, Traffic, Transport};
use pintle_verify::Digest;

use crate::error::Error;

/// The repository that a job names, and the connection to it.
pub(crate) struct Online {
    client: Client,
    reference: Reference,
    /// The most that may be received; reading beyond is an error.
    budget: Option<u64>,
}

/// The error's text where the budget is spent.
const SPENT: &str = "what may be received was received";

impl Online {
    /// Connects to nothing yet.
    pub(crate) fn new(job: &Registry, budget: Option<u64>) -> Result<Self, Error> {
        let reference: Reference = job.reference.parse().map_err(Error::Settings)?;
        let client = Client::new(settings(job, &reference)?).map_err(Error::Settings)?;
        // Tokens of another version are as good as none.
        let tokens: Tokens = postcard::from_bytes(&job.tokens).unwrap_or_default();
        Ok(Self { client: client.with_tokens(tokens), reference, budget })
    }

    /// What the tag names; `None` where that has not changed.
    pub(crate) fn index(&mut self, known: Option<&[u8]>) -> Result<Option<Index>, Error> {
        let known: Option<Known> = known.and_then(|bytes| postcard::from_bytes(bytes).ok());
        match self.client.manifest(&self.reference, known.as_ref())? {
            Answer::Unchanged => Ok(None),
            Answer::Manifest { bytes, media_type, digest, known } => {
                let known = known.and_then(|known| postcard::to_allocvec(&known).ok());
                Ok(Some(Index { bytes, media_type, digest, known }))
            }
        }
    }

    /// A manifest by its digest.
    pub(crate) fn manifest(&mut self, digest: Digest) -> Result<Vec<u8>, Error> {
        match self.client.manifest(&self.reference.with_digest(digest), None)? {
            Answer::Manifest { bytes, .. } => Ok(bytes),
            Answer::Unchanged => Err(Error::NoIndex(digest.to_string())),
        }
    }

    /// A small blob.
    pub(crate) fn blob(&mut self, blob: Blob) -> Result<Vec<u8>, Error> {
        Ok(self.client.blob(&self.reference, of(blob))?)
    }

    /// For the next job.
    pub(crate) fn tokens(&self) -> Vec<u8> {
        postcard::to_allocvec(self.client.tokens()).unwrap_or_default()
    }

    /// What it took until now.
    pub(crate) fn traffic(&self) -> Traffic {
        let pintle_registry::Traffic { requests, sent, received } = self.client.traffic();
        Traffic { requests, sent, received }
    }

    /// Whether the budget is spent.
    pub(crate) fn is_spent(&self) -> bool {
        self.budget.is_some_and(|budget| self.traffic().received >= budget)
    }
}

/// What a tag names, unchecked.
pub(crate) struct Index {
    pub(crate) bytes: Vec<u8>,
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) known: Option<Vec<u8>>,
}

impl Blobs for Online {
    fn read(&mut self, blob: &Blob, range: Range<u64>) -> io::Result<Box<dyn Read + '_>> {
        let left = match self.budget {
            Some(budget) => budget.saturating_sub(self.traffic().received),
            None => u64::MAX,
        };
        let stream = self.client.range(&self.reference, of(*blob), range).map_err(as_io)?;
        Ok(Box::new(Budgeted { stream, left }))
    }
}

/// A stream that ends with an error where the budget does.
struct Budgeted<R> {
    stream: R,
    left: u64,
}

impl<R: Read> Read for Budgeted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other(SPENT));
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.stream.read(buffer.get_mut(..most).unwrap_or_default())?;
        self.left -= read as u64;
        Ok(read)
    }
}

fn as_io(error: RegistryError) -> io::Error {
    let kind = if error.is_missing() { io::ErrorKind::NotFound } else { io::ErrorKind::Other };
    io::Error::new(kind, error)
}

fn of(blob: Blob) -> RegistryBlob {
    RegistryBlob { digest: blob.digest, size: blob.size }
}

fn settings(job: &Registry, reference: &Reference) -> Result<Settings, Error> {
    let host = reference.host().to_owned();
    let plain = match job.transport {
        worker::Transport::Tls => Vec::new(),
        Transport::Plain => {
            let host_of = |mirror: &String| mirror.split('/').next().map(ToOwned::to_owned);
            job.mirrors.iter().filter_map(host_of).chain([host.clone()]).collect()
        }
    };
    let credentials = match &job.credentials {
        Some(file) => Credentials::from_docker_config(file).map_err(Error::Settings)?,
        None => Credentials::default(),
    };
    Ok(Settings {
        mirrors: [(host, job.mirrors.clone())].into(),
        credentials,
        roots: job.authorities.clone(),
        proxy: job.proxy.clone().map(|url| Proxy { url, except: Vec::new() }),
        names: Names::from_files(&job.resolv_conf, &job.hosts),
        plain: plain.into_iter().collect(),
        limits: Limits {
            stall: Duration::from_millis(job.stall_limit),
            total: Some(Duration::from_millis(job.total_limit)),
            ..Limits::default()
        },
        seed: job.seed,
    })
}
