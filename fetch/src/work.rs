//! The two jobs: to find out what there is, and to fetch it.

use std::fs::File;

use pintle_transfer::document::{Index, ReleaseManifest};
use pintle_transfer::layout::Layout;
use pintle_transfer::{Blob, Blobs, Receiver, Source as Local};
use pintle_update::worker::{Checked, Found, Job, Said, Source, Task, Traffic};
use pintle_verify::{Architecture, Digest, Expect, KeySet, Seal, Unverified, Verified};

use crate::error::Error;
use crate::files::Files;
use crate::offline;
use crate::online::{self, Online};

/// What a release's manifest has at most.
const MANIFEST_MAX: usize = 64 << 10;

/// What a seal has at most.
const SEAL_MAX: usize = 4096;

/// The kind of document that a tag must name.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Says how far it is.
pub(crate) type Say<'a> = dyn FnMut(&Said) -> Result<(), Error> + 'a;

/// Does the job; the last word is returned.
pub(crate) fn carry_out(job: Job, files: Files, say: &mut Say<'_>) -> Result<Said, Error> {
    match (&job.source, job.task) {
        (Source::Registry(registry), Task::Check { architecture, known }) => {
            check(Online::new(registry, None)?, architecture, known.as_deref())
        }
        (source, Task::Check { architecture, .. }) => {
            let layout = layout(source, files)?.0;
            check_layout(&layout, &offline::index(&layout, source)?, architecture)
        }
        (Source::Registry(registry), Task::Fetch { manifest, seal, keys, sources, budget }) => {
            let mut online = Online::new(registry, budget)?;
            let release = Release {
                manifest: online.manifest(manifest)?,
                seal: believe(&keys, &seal)?,
                sources,
                files,
            };
            let fetched = release.receive(&mut online, say);
            let traffic = online.traffic();
            match fetched {
                Err(_) if online.is_spent() => Ok(Said::Spent { traffic }),
                fetched => fetched.map(|()| Said::Fetched { traffic }),
            }
        }
        (source, Task::Fetch { manifest, seal, keys, sources, .. }) => {
            let (mut layout, files) = layout(source, files)?;
            let seal = believe(&keys, &seal)?;
            let blob = find(&offline::index(&layout, source)?, manifest)?;
            let manifest = layout.document(&blob, MANIFEST_MAX)?;
            Release { manifest, seal, sources, files }.receive(&mut layout, say)?;
            Ok(Said::Fetched { traffic: Traffic::default() })
        }
    }
}

fn check(
    mut online: Online,
    architecture: Architecture,
    known: Option<&[u8]>,
) -> Result<Said, Error> {
    let Some(online::Index { bytes, media_type, digest, known }) = online.index(known)? else {
        return Ok(Said::Unchanged { tokens: online.tokens(), traffic: online.traffic() });
    };
    if media_type != INDEX {
        return Err(Error::NoIndex(digest.to_string()));
    }
    let index = Index::parse(&bytes)?;
    let release = match index.architectures().contains(&architecture) {
        false => None,
        true => {
            let blob = index.release(architecture)?;
            let manifest = ReleaseManifest::parse(&online.manifest(blob.digest)?)?;
            let seal = online.blob(manifest.seal)?;
            Some(found(blob.digest, &manifest, seal))
        }
    };
    let (tokens, traffic) = (online.tokens(), online.traffic());
    Ok(Said::Checked(Checked { release, known, tokens, traffic }))
}

fn check_layout(layout: &Layout, index: &Index, architecture: Architecture) -> Result<Said, Error> {
    let release = match index.architectures().contains(&architecture) {
        false => None,
        true => {
            let blob = index.release(architecture)?;
            let manifest = ReleaseManifest::parse(&layout.document(&blob, MANIFEST_MAX)?)?;
            let seal = layout.document(&manifest.seal, SEAL_MAX)?;
            Some(found(blob.digest, &manifest, seal))
        }
    };
    let (tokens, traffic) = (Vec::new(), Traffic::default());
    Ok(Said::Checked(Checked { release, known: None, tokens, traffic }))
}

fn found(digest: Digest, manifest: &ReleaseManifest, seal: Vec<u8>) -> Found {
    let deltas = manifest.deltas.iter().map(|delta| (delta.from, delta.blob.size));
    Found { manifest: digest, seal, deltas: deltas.collect() }
}

fn layout(source: &Source, mut files: Files) -> Result<(Layout, Files), Error> {
    let origin = files.origin.take().ok_or(Error::Files("the layout is not there"))?;
    Ok((offline::open(source, origin)?, files))
}

/// The manifest that a check has found: a layout may have been changed since.
fn find(index: &Index, manifest: Digest) -> Result<Blob, Error> {
    let blobs = index.architectures().into_iter().map(|architecture| index.release(architecture));
    let found = blobs.filter_map(Result::ok).find(|blob| blob.digest == manifest);
    found.ok_or(Error::Files("the layout has another release now"))
}

/// The machine has verified it before; here it is what every block is held against.
fn believe(keys: &[u8], seal: &[u8]) -> Result<Verified<Seal>, Error> {
    let keys = KeySet::from_bytes(keys).map_err(|cause| Error::Verify(cause.to_string()))?;
    let expect = Expect { image_id: None, architecture: None, floor: 0 };
    let believed = keys.verify(Unverified(seal), &expect);
    believed.map_err(|cause| Error::Verify(cause.to_string()))
}

/// A release that is to be received.
struct Release {
    manifest: Vec<u8>,
    seal: Verified<Seal>,
    /// The root hashes of the sources.
    sources: Vec<Digest>,
    files: Files,
}

impl Release {
    fn receive(self, blobs: &mut dyn Blobs, say: &mut Say<'_>) -> Result<(), Error> {
        let manifest = ReleaseManifest::parse(&self.manifest)?;
        let target = self.files.target.ok_or(Error::Files("the target is not there"))?;
        let sources: Vec<_> = self.files.sources.into_iter().zip(self.sources).map(local).collect();
        let receiver =
            Receiver { seal: &self.seal, manifest: &manifest, sources: &sources, target: &target };
        let mut progress = Progress { told: 0 };
        let received = receiver.receive(blobs, &mut |now| progress.tell(now, say))?;
        say(&Said::Way(received.plan.to_string()))
    }
}

fn local(((image, tree), root_hash): ((File, File), Digest)) -> Local {
    Local { image, tree, root_hash }
}

/// Tells how far it is, a hundred times at most.
struct Progress {
    told: u64,
}

impl Progress {
    fn tell(&mut self, now: &pintle_transfer::Progress, say: &mut Say<'_>) {
        let pintle_transfer::Progress { received, blocks_done: blocks, blocks: of, .. } = *now;
        if blocks.saturating_mul(100) / of.max(1) > self.told {
            self.told = blocks.saturating_mul(100) / of.max(1);
            // Who does not listen any more ends this process.
            say(&Said::Progress { blocks, of, received }).unwrap_or_default();
        }
    }
}
