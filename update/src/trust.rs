use std::collections::BTreeSet;
use std::fmt;

use pintle_verify::{Digest, Seal};

use crate::Mark;
use crate::name::parse_decimal;

/// What the machine remembers apart from its entries: the names of empty files in `trust/`.
///
/// No file there has content, so that there is nothing to tear: each change is one rename, or one
/// new name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Trust {
    /// `floor-<sequence>`: the lowest sequence that may still be installed or booted. Where there
    /// are several names the highest counts.
    pub floor: u64,
    /// `bad-<sequence>-<root hash>`: what is not installed again by itself, the lowest
    /// sequence first.
    pub bad: Vec<BadSeal>,
    /// `pinned-<sequence>`: the operator wants these entries kept.
    pub pinned: BTreeSet<u64>,
    /// `shipped-<sequence>`: the image that the machine came with.
    pub shipped: Option<u64>,
    /// `unreached-<sequence>`: entries that turned out bad for nothing but that their registry could
    /// not be reached.
    pub unreached: BTreeSet<u64>,
    /// `hold`: the operator wants no update that nobody asked for.
    pub hold: Hold,
    /// All the marks that are there; there is one, unless somebody put another there.
    pub marks: Vec<Mark>,
    /// Names that are none of these; an older or newer pintle may know them.
    pub unknown: Vec<String>,
}

/// Whether the machine updates itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Hold {
    /// As its configuration says.
    #[default]
    Off,
    /// Not until the operator says so.
    On,
}

/// What turned out bad: an image under a sequence, whoever signed for it and however the rest of its
/// seal reads now.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BadSeal {
    /// The sequence.
    pub sequence: u64,
    /// The root hash of the image.
    pub root_hash: Digest,
}

impl BadSeal {
    /// What is remembered where this is the seal of an entry that turned out bad.
    pub fn of(seal: &Seal) -> Self {
        Self { sequence: seal.sequence, root_hash: seal.root_hash }
    }
}

impl Trust {
    /// Reads the names in `trust/`.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut trust = Self::default();
        names.into_iter().for_each(|name| trust.take(name));
        trust.bad.sort();
        trust.marks.sort();
        trust
    }

    /// Which entry ran last. Where several marks stand, the one that tells most.
    pub fn mark(&self) -> Mark {
        self.marks.last().copied().unwrap_or_default()
    }

    /// Whether what this seals turned out bad.
    pub fn is_bad(&self, seal: &Seal) -> bool {
        self.bad.contains(&BadSeal::of(seal))
    }

    fn take(&mut self, name: &str) {
        match Record::parse(name) {
            Some(Record::Floor(floor)) => self.floor = self.floor.max(floor),
            Some(Record::Bad(bad)) => self.bad.push(bad),
            Some(Record::Mark(mark)) => self.marks.push(mark),
            Some(Record::Pinned(sequence)) => drop(self.pinned.insert(sequence)),
            // The machine came with one; where somebody put several names, the oldest is the likeliest.
            Some(Record::Shipped(sequence)) => {
                self.shipped = Some(self.shipped.map_or(sequence, |old| old.min(sequence)));
            }
            Some(Record::Unreached(sequence)) => drop(self.unreached.insert(sequence)),
            Some(Record::Hold) => self.hold = Hold::On,
            None => self.unknown.push(name.to_owned()),
        }
    }
}

/// One name in `trust/`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Record {
    Floor(u64),
    Bad(BadSeal),
    Mark(Mark),
    Pinned(u64),
    Shipped(u64),
    Unreached(u64),
    Hold,
}

impl Record {
    /// Reads a name in its one spelling.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name.split_once('-') {
            Some(("floor", rest)) => parse_decimal(rest).map(Self::Floor),
            Some(("bad", rest)) => parse_bad(rest).map(Self::Bad),
            Some(("pinned", rest)) => parse_decimal(rest).map(Self::Pinned),
            Some(("shipped", rest)) => parse_decimal(rest).map(Self::Shipped),
            Some(("unreached", rest)) => parse_decimal(rest).map(Self::Unreached),
            None if name == HOLD => Some(Self::Hold),
            Some(_) | None => Mark::parse(name).map(Self::Mark),
        }
    }
}

const HOLD: &str = "hold";

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Floor(floor) => write!(f, "floor-{floor}"),
            Self::Bad(BadSeal { sequence, root_hash }) => {
                write!(f, "bad-{sequence}-{}", root_hash.hex())
            }
            Self::Mark(mark) => mark.fmt(f),
            Self::Pinned(sequence) => write!(f, "pinned-{sequence}"),
            Self::Shipped(sequence) => write!(f, "shipped-{sequence}"),
            Self::Unreached(sequence) => write!(f, "unreached-{sequence}"),
            Self::Hold => f.write_str(HOLD),
        }
    }
}

fn parse_bad(text: &str) -> Option<BadSeal> {
    let (sequence, root_hash) = text.split_once('-')?;
    let root_hash = format!("sha256:{root_hash}").parse().ok()?;
    Some(BadSeal { sequence: parse_decimal(sequence)?, root_hash })
}
