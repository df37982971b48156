use std::fmt;

use crate::{EntryName, KeptPath, Piece};

/// Something in the store, as its path from the store's root.
///
/// Only the constructors here make one, so that no text from outside becomes a path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place(String);

impl Place {
    /// The store's root.
    pub fn root() -> Self {
        Self(".".to_owned())
    }

    /// Installed images.
    pub fn images() -> Self {
        Self("images".to_owned())
    }

    /// What is being fetched or copied; never booted.
    pub fn incoming() -> Self {
        Self("incoming".to_owned())
    }

    /// What is to be deleted.
    pub fn trash() -> Self {
        Self("trash".to_owned())
    }

    /// The floor, seals remembered as bad, the mark of the running entry.
    pub fn trust() -> Self {
        Self("trust".to_owned())
    }

    /// Local changes.
    pub fn data() -> Self {
        Self("data".to_owned())
    }

    /// Where a factory reset gathers what is kept; it becomes `data/`.
    pub fn reset() -> Self {
        Self("reset".to_owned())
    }

    /// An installed entry.
    pub fn entry(name: &EntryName) -> Self {
        Self::images().child(&name.to_string())
    }

    /// Where the release with this sequence is gathered.
    pub fn fetched(sequence: u64) -> Self {
        Self::incoming().child(&sequence.to_string())
    }

    /// A file of an entry or a release, of which this is the directory.
    pub fn piece(&self, piece: Piece) -> Self {
        self.child(piece.file_name())
    }

    /// The directory that holds it; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        match self.0.rsplit_once('/') {
            Some((parent, _)) => Some(Self(parent.to_owned())),
            None => (self.0 != ".").then(Self::root),
        }
    }

    /// The last part of the path.
    pub fn leaf(&self) -> &str {
        self.0.rsplit_once('/').map_or(self.0.as_str(), |(_, leaf)| leaf)
    }

    /// The path, relative to the store's root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn child(&self, name: &str) -> Self {
        match self.0.as_str() {
            "." => Self(name.to_owned()),
            parent => Self(format!("{parent}/{name}")),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One operation on the store's directories. A plan is a list of them, carried out in order and
/// given up at the first error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Makes a directory; one that is there already is left alone.
    MakeDir(Place),
    /// Makes an empty file and syncs it; one that is there already is left alone.
    Touch(Place),
    /// Renames. Never replaces what has the new name.
    Move {
        /// The present name.
        from: Place,
        /// The new one.
        to: Place,
    },
    /// Renames a file over another, so that the name always has one of them.
    Replace {
        /// The present name.
        from: Place,
        /// The name of the file that it replaces.
        to: Place,
    },
    /// Swaps two names in one operation.
    Exchange(Place, Place),
    /// Renames into `trash/`, under any free name there.
    Discard(Place),
    /// Removes a file.
    Unlink(Place),
    /// Gives what is at this path below `data/` a second name below `reset/`, whatever is in it.
    Keep(KeptPath),
    /// Makes durable what was done to a directory's names before.
    SyncDir(Place),
    /// Makes everything durable that was done to the file system before.
    SyncAll,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MakeDir(place) => write!(f, "make directory {place}"),
            Self::Touch(place) => write!(f, "make file {place}"),
            Self::Move { from, to } => write!(f, "rename {from} to {to}"),
            Self::Replace { from, to } => write!(f, "rename {from} over {to}"),
            Self::Exchange(one, other) => write!(f, "swap {one} and {other}"),
            Self::Keep(path) => write!(f, "keep {path}"),
            Self::Discard(place) => write!(f, "rename {place} into trash"),
            Self::Unlink(place) => write!(f, "remove {place}"),
            Self::SyncDir(place) => write!(f, "sync directory {place}"),
            Self::SyncAll => f.write_str("sync everything"),
        }
    }
}
