use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use pintle_verify::verity::Geometry;
use pintle_verify::{Digest, Seal, peek, seal_digest};

use crate::error::Attempt;
use crate::release::{IMAGE, SEAL, TREE};
use crate::{Error, Result};

/// Longer than any seal, so that a longer file is seen to be longer.
const SEAL_LIMIT: u64 = 4096 + 1;

/// A release that is to be installed. Holding one tells that its files have the sizes that its seal
/// says, and no more: whether they are genuine, the machine finds out.
#[derive(Debug)]
pub struct Entry {
    release: PathBuf,
    pub(super) state: State,
    pub(super) seal: Seal,
    pub(super) digest: Digest,
}

/// Where an installed image stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It counts as having booted well.
    Good,
    /// It has three tries to do so.
    Trial,
}

impl Entry {
    /// Looks at the release in `release`.
    pub fn open(release: &Path, state: State) -> Result<Self> {
        let (seal, digest) = read_seal(&release.join(SEAL))?;
        let tree_size = Geometry::of_image(seal.image_size).map(|geometry| geometry.tree_size());
        let tree_size = tree_size.map_err(|cause| Error::input("use the seal", cause))?;
        check_size(&release.join(IMAGE), seal.image_size)?;
        check_size(&release.join(TREE), tree_size)?;
        Ok(Self { release: release.into(), state, seal, digest })
    }

    /// The entry's directory in `images/`.
    pub fn name(&self) -> String {
        let counters = match self.state {
            State::Good => "",
            State::Trial => "+3-0",
        };
        format!("{}_{}{counters}", self.seal.sequence, self.seal.version)
    }

    /// One of the release's files, by an absolute path.
    pub(super) fn file(&self, name: &str) -> Result<PathBuf> {
        let file = self.release.join(name);
        file.canonicalize().attempt(|| format!("find {}", file.display()))
    }
}

fn read_seal(path: &Path) -> Result<(Seal, Digest)> {
    let action = || format!("read {}", path.display());
    let mut bytes = Vec::new();
    let file = File::open(path).attempt(action)?;
    file.take(SEAL_LIMIT).read_to_end(&mut bytes).attempt(action)?;
    let seal = peek(&bytes).map_err(|cause| Error::input(action(), cause.to_string()))?;
    Ok((seal, seal_digest(&bytes)))
}

fn check_size(path: &Path, expected: u64) -> Result<()> {
    let found = fs::metadata(path).attempt(|| format!("find {}", path.display()))?.len();
    match found == expected {
        true => Ok(()),
        false => {
            let cause = format!("it has {found} bytes, and {expected} by its seal");
            Err(Error::input(format!("use {}", path.display()), cause))
        }
    }
}
