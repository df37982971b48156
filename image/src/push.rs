//! Publishes a release in a registry or in an OCI layout, beside the container images of its tag.

mod deltas;
mod files;
mod older;
mod place;
mod prepared;
mod settings;
mod tag;

use pintle_registry::Settings;
use pintle_verify::{Digest, Seal};
use std::cell::Cell;
use std::io::{Read, Seek};
use std::path::Path;

pub use deltas::Delta;
pub use older::Older;
pub use place::Place;
pub use prepared::{Downgrade, Effort, Options};
pub use settings::{Connection, Transport, settings};

use crate::progress::{Phase, Progress};
use crate::{Error, Result};
use pintle_transfer::Blob;
use place::Opened;
use prepared::Prepared;
use tag::Tag;

/// A tag that moves while it is written is read again so often: whoever moves it more often than that is at odds
/// with us.
const RACES: usize = 5;

/// What was published.
#[derive(Debug, serde::Serialize)]
pub struct Pushed {
    /// What the tag names now.
    pub index: Digest,
    /// The release's manifest.
    pub release: Digest,
    /// What the release says about itself.
    pub seal: Seal,
    /// Bytes of blobs that the release has.
    pub size: u64,
    /// Bytes of blobs that were not there yet.
    pub sent: u64,
    /// The deltas that were made, published or not.
    pub deltas: Vec<Delta>,
    /// Container images that the tag names too.
    pub containers: usize,
}

/// Publishes the release in `directory`: its blobs, then its manifest, then the tag.
///
/// # Errors
/// When the release is not what its seal says, what the tag has is newer, or the place refuses. The tag then names what it
/// named before.
pub fn push(
    directory: &Path,
    (place, settings): (&Place, Settings),
    options: &Options<'_>,
    progress: &dyn Progress,
) -> Result<Pushed> {
    let mut opened = place.open(settings)?;
    // What cannot be published is not compressed either.
    let seal = prepared::read_seal(directory)?;
    Tag::read(&mut opened)?.admits(&seal, options.downgrade)?;
    let prepared = Prepared::make(directory, options, progress)?;
    let sent = send(&prepared, &mut opened, progress)?;
    let manifest = prepared.manifest();
    opened.put_document(pintle_transfer::document::MANIFEST, &manifest)?;
    let (index, containers) = move_tag(opened, &prepared, options)?;
    Ok(Pushed {
        index,
        release: Digest::of(&manifest),
        seal: prepared.seal().clone(),
        size: prepared.size(),
        sent,
        deltas: prepared.deltas(),
        containers,
    })
}

/// Sends what is not there yet, and says how much that was.
fn send(prepared: &Prepared, opened: &mut Opened, progress: &dyn Progress) -> Result<u64> {
    progress.begin(Phase::Push, Some(prepared.size()));
    let mut sent = 0;
    for (blob, mut content) in prepared.blobs()? {
        match opened.has(&blob)? {
            true => progress.advance(blob.size),
            false => {
                send_blob((&blob, &mut content), opened, progress)?;
                sent += blob.size;
            }
        }
    }
    Ok(sent)
}

fn send_blob(
    (blob, content): (&Blob, &mut (impl Read + Seek)),
    opened: &mut Opened,
    progress: &dyn Progress,
) -> Result<()> {
    let told = Cell::new(0);
    opened.put_blob(blob, content, &mut |there| {
        progress.advance(there.saturating_sub(told.replace(there.max(told.get()))));
    })
}

/// Puts the release into what the tag names at that moment.
fn move_tag(
    mut opened: Opened,
    prepared: &Prepared,
    options: &Options<'_>,
) -> Result<(Digest, usize)> {
    for _ in 0..RACES {
        let tag = Tag::read(&mut opened)?;
        tag.admits(prepared.seal(), options.downgrade)?;
        let was = tag.digest();
        let index = tag.with(prepared.seal().architecture, &prepared.manifest());
        if opened.tagged()?.map(|found| found.digest) == was {
            let containers = index.containers().map_err(settings::of_transfer)?.len();
            let bytes = index.to_bytes();
            opened.put_tag(&bytes)?;
            return Ok((Digest::of(&bytes), containers));
        }
    }
    Err(Error::input("move the tag", "somebody else moves it all the time; try again"))
}
