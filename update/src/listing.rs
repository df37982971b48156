use rustix::fd::OwnedFd;
use rustix::fs::{Dir, FileType};

use crate::hands::{Hands, failed};
use crate::{EntryName, Error, Place};

/// A store holds a few entries; who fills its directories with names wants PID 1 to run out of
/// memory.
const MAX_NAMES: usize = 4096;

/// What is in `images/`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Listing {
    /// The entries, in no order.
    pub entries: Vec<EntryName>,
    /// What is no entry, for the report: names that cannot be read, and what is no directory.
    pub unknown: Vec<String>,
}

impl Listing {
    /// Sorts names and whether they are directories'.
    pub fn from_names(names: impl IntoIterator<Item = (String, bool)>) -> Self {
        let mut listing = Self::default();
        for (name, is_directory) in names {
            match name.parse() {
                Ok(entry) if is_directory => listing.entries.push(entry),
                _ => listing.unknown.push(name),
            }
        }
        listing
    }
}

/// The names in a directory of the store, and whether they are directories'. What is not UTF-8 is
/// shown with replacement characters, which no name of the store has.
pub(crate) fn names(hands: &Hands, place: &Place) -> Result<Vec<(String, bool)>, Error> {
    read_names(hands.open_dir(place)?, place)
}

fn read_names(directory: OwnedFd, place: &Place) -> Result<Vec<(String, bool)>, Error> {
    let entries = Dir::new(directory).map_err(|cause| failed("list", place, cause))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|cause| failed("list", place, cause))?;
        let is_directory = entry.file_type() == FileType::Directory;
        names.push((entry.file_name().to_string_lossy().into_owned(), is_directory));
        if names.len() > MAX_NAMES {
            return Err(Error::File {
                object: place.to_string(),
                cause: "it holds too many names",
            });
        }
    }
    names.retain(|(name, _)| name != "." && name != "..");
    Ok(names)
}
