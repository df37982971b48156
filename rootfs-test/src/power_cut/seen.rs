//! What a mounted store holds, read file by file: what a cut may take back, and what it may not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use pintle_update::{EntryName, EntryState, Trust, select};
use pintle_verify::Digest;

use super::machine::Machine;

/// What becomes the wish for a reset; means nothing before.
const DRAFT: &str = "data/factory-reset~";

/// The content of `images/`, `trust/` and `data/`. What is in `incoming/` and `trash/` nobody is promised.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// The entries by their sequence; of two with one sequence each is here.
    pub entries: BTreeMap<u64, Vec<Entry>>,
    /// The names in `trust/`.
    pub trust: BTreeSet<String>,
    /// The files and directories below `data/`, with the files' bytes.
    pub data: BTreeMap<String, Vec<u8>>,
}

/// An entry.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its files and the digest of what is in them.
    pub files: BTreeMap<String, String>,
    /// Why it does not boot; empty where it does.
    pub flaw: String,
}

impl Seen {
    /// Looks at all of it.
    ///
    /// # Errors
    /// When something cannot be read, or has a name that means nothing.
    pub fn look(root: &Path) -> Result<Seen> {
        let machine = Machine::open(root)?;
        let mut entries = BTreeMap::<u64, Vec<Entry>>::new();
        for name in names(&root.join("images"))? {
            let entry: EntryName = name.parse()?;
            entries.entry(entry.sequence()).or_default().push(look_at(&machine, root, &entry)?);
        }
        let trust = names(&root.join("trust"))?;
        let mut data = BTreeMap::new();
        read_tree(root, "data", &mut data)?;
        Ok(Seen { entries, trust, data })
    }

    /// The entries in the order in which they are tried.
    pub fn order(&self) -> Vec<EntryName> {
        let names = self.entries.values().flatten().filter_map(|entry| entry.name.parse().ok());
        select(&names.collect::<Vec<_>>(), self.known().floor)
    }

    /// The sequence that boots next: the first in the order whose files are whole.
    pub fn boots(&self) -> Option<u64> {
        let is_whole = |entry: &EntryName| {
            let name = entry.to_string();
            self.entries.values().flatten().any(|it| it.name == name && it.flaw.is_empty())
        };
        self.order().into_iter().find(is_whole).map(|entry| entry.sequence())
    }

    /// The good entries at or above the floor whose files are whole.
    pub fn good(&self) -> BTreeSet<u64> {
        let order = self.order();
        let good = order.iter().filter(|entry| entry.state() == EntryState::Good);
        good.map(EntryName::sequence).collect()
    }

    /// What the names in `trust/` say.
    pub fn known(&self) -> Trust {
        Trust::from_names(self.trust.iter().map(String::as_str))
    }

    /// Whether a factory reset is wished for.
    pub fn is_wished_for(&self) -> bool {
        self.data.contains_key("data/factory-reset")
    }
}

fn look_at(machine: &Machine, root: &Path, entry: &EntryName) -> Result<Entry> {
    let (name, mut files) = (entry.to_string(), BTreeMap::new());
    let folder = root.join("images").join(&name);
    for file in names(&folder)? {
        let digest = Digest::of(&fs::read(folder.join(&file))?).to_string();
        files.insert(file, digest);
    }
    let flaw = machine.check(entry).err().map(|error| error.to_string()).unwrap_or_default();
    Ok(Entry { name, files, flaw })
}

fn names(folder: &Path) -> Result<BTreeSet<String>> {
    let listing = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        listing => listing.with_context(|| format!("cannot list {}", folder.display()))?,
    };
    listing.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn read_tree(root: &Path, below: &str, tree: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    for name in names(&root.join(below))? {
        let path = format!("{below}/{name}");
        if path == DRAFT {
            continue;
        }
        if root.join(&path).is_dir() {
            tree.insert(path.clone(), Vec::new());
            read_tree(root, &path, tree)?;
        } else {
            tree.insert(path.clone(), fs::read(root.join(&path))?);
        }
    }
    Ok(())
}
