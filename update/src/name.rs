use std::fmt;
use std::str::FromStr;

use pintle_verify::{Seal, Version};

use crate::{EntryState, Error, Event, Tries};

/// The name of an entry's directory: `<sequence>_<version>`, then the counters
/// `+<tries left>-<tries done>` unless the entry is good.
///
/// By the boot counting of the UAPI Group's Boot Loader Specification, with one digit for each
/// counter, so that a transition never changes the length of the name of a counted entry. A name
/// has one spelling: no leading zeros, both counters or none. The longest is 89 bytes.
///
/// A name is no proof of anything; the seal in the directory is. [`EntryName::agrees_with`]
/// compares them.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct EntryName {
    sequence: u64,
    version: Version,
    state: EntryState,
}

impl EntryName {
    /// Puts a name together.
    pub fn new(sequence: u64, version: Version, state: EntryState) -> Self {
        Self { sequence, version, state }
    }

    /// The seal's sequence: what is newer.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The image's version, for people.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Where the entry stands.
    pub fn state(&self) -> EntryState {
        self.state
    }

    /// Whether the seal found in the directory is the one that the name speaks of.
    ///
    /// Without this check the directory of an old image could be renamed to look new.
    pub fn agrees_with(&self, seal: &Seal) -> bool {
        self.sequence == seal.sequence && self.version == seal.version
    }

    /// Whether both are names of one entry, whatever their counters say.
    pub fn is_same_entry(&self, other: &Self) -> bool {
        (self.sequence, &self.version) == (other.sequence, &other.version)
    }

    /// The name that follows on `event`.
    pub fn after(&self, event: Event, tries: Tries) -> Self {
        self.with_state(self.state.after(event, tries))
    }

    pub(crate) fn with_state(&self, state: EntryState) -> Self {
        Self { state, ..self.clone() }
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.sequence, self.version)?;
        match self.state.counters() {
            Some((left, done)) => write!(f, "+{left}-{done}"),
            None => Ok(()),
        }
    }
}

impl FromStr for EntryName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).ok_or_else(|| Error::Name(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<EntryName> {
    let (sequence, rest) = text.split_once('_')?;
    let (version, state) = match rest.split_once('+') {
        Some((version, counters)) => (version, parse_counters(counters)?),
        None => (rest, EntryState::Good),
    };
    Some(EntryName::new(parse_decimal(sequence)?, version.parse().ok()?, state))
}

fn parse_counters(text: &str) -> Option<EntryState> {
    let [left, b'-', done] = text.as_bytes() else { return None };
    Some(EntryState::from_counters(parse_digit(*left)?, parse_digit(*done)?))
}

/// `Some(None)` is a zero.
fn parse_digit(byte: u8) -> Option<Option<Tries>> {
    byte.is_ascii_digit().then(|| Tries::try_from(byte - b'0').ok())
}

/// Reads a number in its one spelling: no sign, no leading zeros.
pub(crate) fn parse_decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}
