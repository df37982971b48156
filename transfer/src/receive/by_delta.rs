use std::fs::File;
use std::os::unix::fs::FileExt;

use pintle_verify::Digest;
use sha2::{Digest as _, Sha256};

use super::{Feed, Phase, Receiver};
use crate::delta::apply;
use crate::document::DeltaLayer;
use crate::plan::Plan;
use crate::{Blob, Error, block_file};

/// What became of a delta.
pub(super) enum Outcome {
    /// It made the image and its tree.
    Applied,
    /// It makes no such image here, and why.
    Failed(String),
}

/// Read and written at once.
const CHUNK: usize = 64 << 10;

impl Receiver<'_> {
    /// Fetches the delta of the plan, as far as it is not here, and applies it.
    pub(super) fn by_delta(&self, plan: &Plan, feed: &mut Feed<'_>) -> Result<Outcome, Error> {
        let delta = plan.delta().and_then(|number| self.manifest.deltas.get(number));
        let old = delta.and_then(|d| self.sources.iter().find(|s| s.root_hash == d.from));
        let (Some(delta), Some(old)) = (delta, old) else {
            return Ok(Outcome::Failed("its older image is not here".to_owned()));
        };
        let fetched = self.fetch_delta(delta, feed);
        let applied = fetched.and_then(|()| {
            feed.report(Phase::Apply, 0);
            apply(old, self.seal, self.target)
        });
        match applied {
            Ok(()) => Ok(Outcome::Applied),
            // The older image may be damaged, or the delta, or it was made wrong: blocks need neither.
            Err(error @ (Error::Delta(_) | Error::Damaged { .. })) => {
                // Whole as it is it would cost nothing, and be the next attempt's choice again.
                resize(&self.target.delta, 0)?;
                Ok(Outcome::Failed(error.to_string()))
            }
            Err(error) if error.is_missing() => Ok(Outcome::Failed(error.to_string())),
            Err(error) => Err(error),
        }
    }

    /// What is left of an earlier attempt may be of another delta: then it is fetched from the start.
    fn fetch_delta(&self, delta: &DeltaLayer, feed: &mut Feed<'_>) -> Result<(), Error> {
        let left = length(&self.target.delta)?;
        self.fetch_rest(&delta.blob, feed)?;
        if digest(&self.target.delta)? == delta.blob.digest {
            return Ok(());
        }
        resize(&self.target.delta, 0)?;
        if left == 0 {
            return Err(Error::Damaged { object: "delta", offset: 0 });
        }
        self.fetch_delta(delta, feed)
    }

    fn fetch_rest(&self, blob: &Blob, feed: &mut Feed<'_>) -> Result<(), Error> {
        let file = &self.target.delta;
        let mut at = length(file)?;
        if at > blob.size {
            at = 0;
            resize(file, 0)?;
        }
        if at == blob.size {
            return Ok(());
        }
        let mut stream = feed.open("delta", blob, at..blob.size)?;
        let mut buffer = vec![0; CHUNK];
        while at < blob.size {
            let most = buffer.len().min((blob.size - at) as usize);
            let chunk = buffer.get_mut(..most).unwrap_or_default();
            let count = stream.read(chunk)?;
            let bytes = chunk.get(..count).unwrap_or_default();
            file.write_all_at(bytes, at).map_err(Error::file("write", OBJECT))?;
            at += count as u64;
            stream.report(Phase::Delta, 0);
        }
        Ok(())
    }
}

fn digest(file: &File) -> Result<Digest, Error> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut at = 0;
    loop {
        let count = file.read_at(&mut buffer, at).map_err(Error::file("read", OBJECT))?;
        if count == 0 {
            return Ok(Digest::from_bytes(hash.finalize().into()));
        }
        hash.update(buffer.get(..count).unwrap_or_default());
        at += count as u64;
    }
}

fn length(file: &File) -> Result<u64, Error> {
    block_file::length(file).map_err(Error::file("look at", OBJECT))
}

fn resize(file: &File, length: u64) -> Result<(), Error> {
    file.set_len(length).map_err(Error::file("resize", OBJECT))
}

const OBJECT: &str = "delta";
