//! How a release's image and tree come to a machine: a plan carried out, and what an earlier attempt left used.

mod by_blocks;
mod by_delta;
mod feed;
mod image;
mod shifted;

use std::fs::File;

use pintle_verify::verity::Geometry;
use pintle_verify::{Seal, Verified};

use crate::block_file::{length, offset};
use crate::document::ReleaseManifest;
use crate::plan::{self, Cost, Offer, Outset, Plan, Way};
use crate::{Blobs, Error, Source, tree};

use by_delta::Outcome;
pub(crate) use feed::{Feed, Stream};

/// Files that become those of an entry. They may hold what an earlier attempt left, or anything.
#[derive(Debug)]
pub struct Target {
    /// `root.img`
    pub image: File,
    /// `root.tree`
    pub tree: File,
    /// A delta, as far as it has come; of no use once the image is there.
    pub delta: File,
}

/// What is to be received, out of what, and where to.
#[derive(Clone, Copy, Debug)]
pub struct Receiver<'a> {
    /// What the image must be.
    pub seal: &'a Verified<Seal>,
    /// The release that claims to be it.
    pub manifest: &'a ReleaseManifest,
    /// The images that are here, at most 2^32.
    pub sources: &'a [Source],
    /// Where to.
    pub target: &'a Target,
}

/// What is being done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// The hash tree is fetched.
    Tree,
    /// Blocks that are here are hashed and copied.
    Local,
    /// Blocks are fetched.
    Blocks,
    /// A delta is fetched.
    Delta,
    /// A delta is applied.
    Apply,
}

/// How far it has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// Bytes of blobs that have come in.
    pub received: u64,
    /// Blocks of the image that are right, where that is known.
    pub blocks_done: u64,
    /// Blocks of the image.
    pub blocks: u64,
}

/// How it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Received {
    /// The way that was chosen last.
    pub plan: Plan,
    /// Why a delta that was chosen first did not do.
    pub delta_failed: Option<String>,
    /// What was fetched: bytes of blobs, and requests.
    pub fetched: Cost,
}

impl Receiver<'_> {
    /// Makes the target's image and tree those of the seal.
    ///
    /// Whatever happens, there is no block in the image that was written without having the hash that leads up to the
    /// seal's root hash; on an error the next attempt begins where this one ended, but for at most a frame of 192 KiB.
    pub fn receive(
        &self,
        blobs: &mut dyn Blobs,
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<Received, Error> {
        self.manifest.check(self.seal)?;
        let blocks = Geometry::of_image(self.seal.image_size)?.data_blocks();
        let mut feed = Feed::new(blobs, progress, blocks);
        let delta_failed = match self.plan_at_the_outset()? {
            Some(plan) => match self.by_delta(&plan, &mut feed)? {
                Outcome::Applied => return Ok(received(plan, None, &feed)),
                Outcome::Failed(cause) => Some(cause),
            },
            None => None,
        };
        self.by_blocks(delta_failed, &mut feed)
    }

    fn plan_at_the_outset(&self) -> Result<Option<Plan>, Error> {
        let outset = self.outset()?;
        Ok(plan::at_the_outset(&outset, self.offer()?.as_ref()))
    }

    fn outset(&self) -> Result<Outset, Error> {
        let levels = Geometry::of_image(self.seal.image_size)?.levels().len() as u64;
        let image = self.manifest.image;
        let table = image.blob.size - image.seek_table;
        Ok(Outset {
            least: Cost { bytes: offset(levels) + table, requests: levels + 1 },
            full: Cost { bytes: image.blob.size + self.manifest.tree.size, requests: 3 },
            has_begun: tree::has_begun(&self.target.tree)?,
        })
    }

    /// The delta that costs least, of those whose older image is here.
    fn offer(&self) -> Result<Option<Offer>, Error> {
        let left = length(&self.target.delta).map_err(Error::file("look at", "delta"))?;
        let is_here = |from| self.sources.iter().any(|source| source.root_hash == from);
        let deltas = self.manifest.deltas.iter().enumerate();
        let offers = deltas.filter(|(_, delta)| is_here(delta.from)).map(|(number, delta)| {
            let rest = delta.blob.size.saturating_sub(left);
            let cost = Cost { bytes: rest, requests: u64::from(rest > 0) };
            Offer { delta: number, cost, instead_of: delta.instead_of }
        });
        Ok(offers.min_by_key(|offer| offer.cost.total()))
    }
}

fn received(plan: Plan, delta_failed: Option<String>, feed: &Feed<'_>) -> Received {
    Received { plan, delta_failed, fetched: feed.fetched() }
}

impl Plan {
    /// The delta of the plan, if it is one.
    fn delta(&self) -> Option<usize> {
        match self.way {
            Way::Delta(number) => Some(number),
            Way::Blocks | Way::Full => None,
        }
    }
}
