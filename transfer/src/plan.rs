//! Which way an image comes: pure, from what is here and what the release offers.
//!
//! There are three ways to the same bytes. *Blocks* copies the blocks that are here and fetches the frames that hold the
//! others; *full* is the same where nothing is here; *delta* makes the image out of an older one.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use pintle_verify::verity::{BLOCK, Geometry, Leaf};

use crate::frames::SeekTable;

/// What a request costs beside the bytes that it asks for, in bytes: its headers and the answer's.
pub const REQUEST: u64 = 1024;

/// A way to the bytes of an image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// The blocks that are missing.
    Blocks,
    /// The delta with this number.
    Delta(usize),
    /// All blocks.
    Full,
}

/// What a way costs from now on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cost {
    /// Of blobs, without headers.
    pub bytes: u64,
    /// Round trips.
    pub requests: u64,
}

impl Cost {
    /// Both in bytes.
    pub fn total(self) -> u64 {
        self.bytes + self.requests * REQUEST
    }
}

/// The delta that can be used here at the least cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offer {
    /// Its number in the manifest.
    pub delta: usize,
    /// What is still to be fetched of it.
    pub cost: Cost,
    /// What the builder says that blocks cost instead.
    pub instead_of: Option<u64>,
}

/// The chosen way, and what the others would have cost. As text: `by blocks: 3.1 MB in 4 requests (delta: 5.0
/// MB, full: 60.0 MB)`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// The cheapest way.
    pub way: Way,
    /// Of it.
    pub cost: Cost,
    /// The other ways that there are, with their bytes.
    pub others: Vec<(Way, u64)>,
}

/// What is known before a byte of the release's layers has been fetched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outset {
    /// What blocks cost at least.
    pub least: Cost,
    /// What all blocks cost.
    pub full: Cost,
    /// Whether an earlier attempt has begun to fetch blocks.
    pub has_begun: bool,
}

/// Whether the delta is taken before the hash tree has been fetched, which alone can cost more than a delta.
///
/// It is if it costs less than blocks do at least, or, as long as nothing has been fetched, than the builder says that they
/// do. That number is not authenticated; a wrong one costs bytes.
pub fn at_the_outset(outset: &Outset, offer: Option<&Offer>) -> Option<Plan> {
    let offer = offer?;
    let said = offer.instead_of.filter(|_| !outset.has_begun).unwrap_or(0);
    if offer.cost.total() > outset.least.total().max(said) {
        return None;
    }
    let others = vec![(Way::Blocks, said.max(outset.least.bytes)), (Way::Full, outset.full.bytes)];
    Some(Plan { way: Way::Delta(offer.delta), cost: offer.cost, others })
}

/// The cheapest way once it is known what is here.
pub fn choose(blocks: Cost, full: Cost, offer: Option<&Offer>) -> Plan {
    let way = if blocks.bytes < full.bytes { Way::Blocks } else { Way::Full };
    let mut ways = vec![(way, blocks)];
    ways.extend(offer.map(|offer| (Way::Delta(offer.delta), offer.cost)));
    ways.extend((way == Way::Blocks).then_some((Way::Full, full)));
    // A stable sort: of equals the first stays first.
    ways.sort_by_key(|(_, cost)| cost.total());
    let mut ways = ways.into_iter();
    let (way, cost) = ways.next().unwrap_or((Way::Full, full));
    Plan { way, cost, others: ways.map(|(way, cost)| (way, cost.bytes)).collect() }
}

/// Which frames must be fetched for blocks that are nowhere here. Of blocks that occur twice one is enough: rather
/// one whose frame is needed anyway.
pub fn needed_frames(missing: &[u64], leaves: &[Leaf], table: &SeekTable) -> Vec<bool> {
    let mut by_leaf = missing.to_vec();
    by_leaf.sort_by_key(|block| leaves.get(*block as usize));
    let same = |a: &u64, b: &u64| leaves.get(*a as usize) == leaves.get(*b as usize);
    let (single, repeated): (Vec<_>, Vec<_>) =
        by_leaf.chunk_by(same).partition(|group| group.len() == 1);
    let mut needed = Needed { table, frames: vec![false; table.len()] };
    single.into_iter().chain(repeated).for_each(|group| needed.add_one_of(group));
    needed.frames
}

struct Needed<'t> {
    table: &'t SeekTable,
    frames: Vec<bool>,
}

impl Needed<'_> {
    fn add_one_of(&mut self, blocks: &[u64]) {
        if blocks.iter().any(|block| self.frames.get(self.table.frame_of(*block)) == Some(&true)) {
            return;
        }
        let first = blocks.first().map(|block| self.table.frame_of(*block));
        if let Some(frame) = first.and_then(|first| self.frames.get_mut(first)) {
            *frame = true;
        }
    }
}

/// Frames that are fetched in one request: the needed ones, and between them those that cost less than a request.
pub fn runs(needed: &[bool], table: &SeekTable) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (number, _) in needed.iter().enumerate().filter(|(_, needed)| **needed) {
        match runs.last_mut() {
            Some(run) if bytes(&(run.end..number), table) <= REQUEST => run.end = number + 1,
            _ => runs.push(number..number + 1),
        }
    }
    runs
}

/// What it costs to fetch these runs.
pub fn cost_of(runs: &[Range<usize>], table: &SeekTable) -> Cost {
    let bytes = runs.iter().map(|run| bytes(run, table)).sum();
    Cost { bytes, requests: runs.len() as u64 }
}

fn bytes(run: &Range<usize>, table: &SeekTable) -> u64 {
    run.clone().filter_map(|number| table.frame(number)).map(|f| f.bytes.end - f.bytes.start).sum()
}

/// What a machine that has an older image alone would fetch by blocks, for the annotation of a delta.
pub fn cost_from(old: &[Leaf], new: &[Leaf], table: &SeekTable) -> Cost {
    let here: BTreeSet<&Leaf> = old.iter().collect();
    let is_missing = |number: &u64| new.get(*number as usize).is_some_and(|l| !here.contains(l));
    let missing: Vec<u64> = (0..new.len() as u64).filter(is_missing).collect();
    let frames = cost_of(&runs(&needed_frames(&missing, new, table), table), table);
    let tree = tree_cost_from(old, new);
    let table = *SeekTable::sizes(table.len() as u64).end();
    let bytes = frames.bytes + tree.bytes + table;
    Cost { bytes, requests: frames.requests + tree.requests + 1 }
}

/// The blocks of leaves that the old tree has nowhere, and what is above them.
fn tree_cost_from(old: &[Leaf], new: &[Leaf]) -> Cost {
    let here: BTreeSet<&[Leaf]> = old.chunks(FAN_OUT).collect();
    let groups = new.chunks(FAN_OUT).enumerate().filter(|(_, group)| !here.contains(group));
    let mut level: Vec<usize> = groups.map(|(number, _)| number).collect();
    let mut cost = Cost::default();
    for _ in 0..levels(new.len()) {
        cost.bytes += (level.len() * BLOCK) as u64;
        cost.requests += level.chunk_by(|a, b| a + 1 == *b).count() as u64;
        level = level.chunk_by(|a, b| a / FAN_OUT == b / FAN_OUT).map(parent).collect();
    }
    cost
}

const FAN_OUT: usize = BLOCK / size_of::<Leaf>();

fn levels(leaves: usize) -> usize {
    Geometry::of_image((leaves * BLOCK) as u64).map_or(0, |geometry| geometry.levels().len())
}

fn parent(siblings: &[usize]) -> usize {
    siblings.first().map_or(0, |first| first / FAN_OUT)
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blocks => "blocks",
            Self::Delta(_) => "delta",
            Self::Full => "full",
        })
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.way {
            Way::Blocks | Way::Delta(_) => write!(f, "by {}: ", self.way)?,
            Way::Full => write!(f, "in full: ")?,
        }
        let plural = if self.cost.requests == 1 { "" } else { "s" };
        let Cost { bytes, requests } = self.cost;
        write!(f, "{} in {requests} request{plural}", Megabytes(bytes))?;
        let others = self.others.iter().map(|(way, bytes)| format!("{way}: {}", Megabytes(*bytes)));
        match others.collect::<Vec<_>>().join(", ").as_str() {
            "" => Ok(()),
            others => write!(f, " ({others})"),
        }
    }
}

/// As people say it: `3.1 MB`, `12 KB`.
struct Megabytes(u64);

impl fmt::Display for Megabytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0..1000 => write!(f, "{} bytes", self.0),
            1000..1_000_000 => write!(f, "{} KB", self.0.div_ceil(1000)),
            _ => write!(f, "{:.1} MB", self.0 as f64 / 1e6),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn cost(bytes: u64, requests: u64) -> Cost {
        Cost { bytes, requests }
    }

    fn offer(bytes: u64, instead_of: Option<u64>) -> Offer {
        Offer { delta: 3, cost: cost(bytes, 1), instead_of }
    }

    #[test]
    fn the_cheapest_way_is_chosen_and_said() {
        let full = cost(60_000_000, 1);
        for (blocks, delta, expected) in [
            (cost(3_100_000, 4), None, "by blocks: 3.1 MB in 4 requests (full: 60.0 MB)"),
            (
                cost(3_100_000, 4),
                Some(5_000_000),
                "by blocks: 3.1 MB in 4 requests (delta: 5.0 MB, full: 60.0 MB)",
            ),
            (
                cost(3_100_000, 4),
                Some(11_500),
                "by delta: 12 KB in 1 request (blocks: 3.1 MB, full: 60.0 MB)",
            ),
            (full, None, "in full: 60.0 MB in 1 request"),
            (full, Some(5_000_000), "by delta: 5.0 MB in 1 request (full: 60.0 MB)"),
            (
                cost(0, 0),
                Some(700),
                "by blocks: 0 bytes in 0 requests (delta: 700 bytes, full: 60.0 MB)",
            ),
            (
                cost(1000, 2),
                Some(2023),
                "by delta: 3 KB in 1 request (blocks: 1 KB, full: 60.0 MB)",
            ),
            (
                cost(1000, 2),
                Some(2024),
                "by blocks: 1 KB in 2 requests (delta: 3 KB, full: 60.0 MB)",
            ),
        ] {
            let offer = delta.map(|bytes| offer(bytes, None));
            assert_eq!(choose(blocks, full, offer.as_ref()).to_string(), expected);
        }
    }

    #[test]
    fn a_delta_is_taken_at_the_outset_if_blocks_cannot_be_cheaper() {
        for (delta, instead_of, has_begun, taken) in [
            (9_000, None, false, true),
            (9_001, None, false, false),
            (9_001, Some(8_000), false, false),
            (50_000, Some(60_000), false, true),
            (50_000, Some(60_000), true, false),
            (9_000, Some(60_000), true, true),
        ] {
            let outset = Outset { least: cost(9_000, 1), full: cost(100_000, 1), has_begun };
            let plan = at_the_outset(&outset, Some(&offer(delta, instead_of)));
            assert_eq!(plan.is_some(), taken, "{delta} {instead_of:?} {has_begun}");
            assert!(plan.is_none_or(|plan| plan.way == Way::Delta(3)));
        }
        let outset = Outset { least: cost(0, 0), full: cost(0, 0), has_begun: false };
        assert_eq!(at_the_outset(&outset, None), None);
    }

    /// Ten frames of four blocks; a frame's size is 400 bytes more than the one before.
    fn table() -> SeekTable {
        SeekTable::of_frames((1..=10).map(|number| (number * 400, 4)))
    }

    fn leaves(of: impl Fn(u64) -> u8) -> Vec<Leaf> {
        (0..40).map(|number| [of(number); 32]).collect()
    }

    #[test]
    fn frames_are_needed_for_what_is_missing_once() {
        let numbers = |needed: Vec<bool>| {
            let numbers = needed.iter().enumerate().filter(|(_, needed)| **needed);
            numbers.map(|(number, _)| number).collect::<Vec<_>>()
        };
        let distinct = leaves(|number| number as u8);
        // Blocks 1, 13 and 22 are the same, and so are 5 and 38.
        let repeated = leaves(|number| match number {
            13 | 22 => 1,
            38 => 5,
            other => other as u8,
        });
        for (missing, leaves, expected) in [
            (vec![], &distinct, vec![]),
            (vec![0, 3, 4, 39], &distinct, vec![0, 1, 9]),
            (vec![1, 13, 22], &repeated, vec![0]),
            (vec![1, 13, 20, 22], &repeated, vec![5]),
            (vec![1, 5, 13, 22, 36, 38], &repeated, vec![0, 9]),
        ] {
            assert_eq!(numbers(needed_frames(&missing, leaves, &table())), expected, "{missing:?}");
        }
    }

    #[test]
    fn a_gap_that_costs_less_than_a_request_is_fetched_too() {
        let runs = |numbers: &[usize]| {
            let needed: Vec<bool> = (0..10).map(|number| numbers.contains(&number)).collect();
            super::runs(&needed, &table())
        };
        assert_eq!(runs(&[]), []);
        // Frame 1 has 800 bytes, frame 2 has 1200.
        assert_eq!(runs(&[0, 2]), [0..3]);
        assert_eq!(runs(&[1, 3]), [1..2, 3..4]);
        assert_eq!(runs(&[0, 1, 2, 3, 9]), [0..4, 9..10]);
        assert_eq!(cost_of(&runs(&[0, 2, 4]), &table()), cost(2400 + 2000, 2));
        assert_eq!(cost_of(&runs(&(0..10).collect::<Vec<_>>()), &table()), cost(22_000, 1));
    }

    #[test]
    fn the_cost_from_an_older_image_counts_tree_table_and_frames() {
        let new = leaves(|number| number as u8);
        let old = leaves(|number| if number == 7 { 99 } else { number as u8 });
        let table_size = 17 + 8 * 10;
        assert_eq!(cost_from(&new, &new, &table()), cost(table_size, 1));
        assert_eq!(cost_from(&old, &new, &table()), cost(table_size + 4096 + 800, 3));
        assert_eq!(cost_from(&[], &new, &table()), cost(table_size + 4096 + 22_000, 3));
    }
}
