use std::fmt;

use pintle_verify::Digest;

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
    /// `bad-<sequence>-<digest>`: seals that are not installed again by themselves, the lowest
    /// sequence first.
    pub bad: Vec<BadSeal>,
    /// All the marks that are there; there is one, unless somebody put another there.
    pub marks: Vec<Mark>,
    /// Names that are none of these; an older or newer pintle may know them.
    pub unknown: Vec<String>,
}

/// A seal that turned out bad.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BadSeal {
    /// The sequence that it states.
    pub sequence: u64,
    /// SHA-256 of the seal file.
    pub digest: Digest,
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

    /// Whether a seal file with this digest turned out bad.
    pub fn is_bad(&self, digest: &Digest) -> bool {
        self.bad.iter().any(|bad| bad.digest == *digest)
    }

    fn take(&mut self, name: &str) {
        match Record::parse(name) {
            Some(Record::Floor(floor)) => self.floor = self.floor.max(floor),
            Some(Record::Bad(bad)) => self.bad.push(bad),
            Some(Record::Mark(mark)) => self.marks.push(mark),
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
}

impl Record {
    /// Reads a name in its one spelling.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        if let Some(floor) = name.strip_prefix(FLOOR) {
            return parse_decimal(floor).map(Self::Floor);
        }
        match name.strip_prefix(BAD) {
            Some(bad) => parse_bad(bad).map(Self::Bad),
            None => Mark::parse(name).map(Self::Mark),
        }
    }
}

const FLOOR: &str = "floor-";
const BAD: &str = "bad-";

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Floor(floor) => write!(f, "{FLOOR}{floor}"),
            Self::Bad(BadSeal { sequence, digest }) => {
                write!(f, "{BAD}{sequence}-{}", digest.hex())
            }
            Self::Mark(mark) => mark.fmt(f),
        }
    }
}

fn parse_bad(text: &str) -> Option<BadSeal> {
    let (sequence, digest) = text.split_once('-')?;
    let digest = format!("sha256:{digest}").parse().ok()?;
    Some(BadSeal { sequence: parse_decimal(sequence)?, digest })
}
