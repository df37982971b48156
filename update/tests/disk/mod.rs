//! A file system as a power cut sees it: paths, and which of the changes to them would survive.
//!
//! Harsher than ext4, whose journal keeps changes in order: a change survives for certain once a
//! directory that it touches was synced, and of the others any subset may.

use std::collections::BTreeSet;

use pintle_update::{EntryName, InstallStep, KeptPath, Listing, Piece, Place, Step, Trust};

/// Paths from the store's root. One that ends in [`TORN`] is a file whose bytes may be anything.
pub(crate) type Names = BTreeSet<String>;

pub(crate) const TORN: char = '?';

/// Puts a set of paths together.
pub(crate) fn names<T: ToString>(paths: impl IntoIterator<Item = T>) -> Names {
    paths.into_iter().map(|path| path.to_string()).collect()
}

/// The entries in `images/`.
pub(crate) fn entries_of(names: &Names) -> Vec<EntryName> {
    let images = leaves(names, "images/").map(|name| (name.to_owned(), true));
    let listing = Listing::from_names(images);
    assert_eq!(listing.unknown, Vec::<String>::new());
    listing.entries
}

/// What `trust/` tells.
pub(crate) fn trust_of(names: &Names) -> Trust {
    let trust = Trust::from_names(leaves(names, "trust/"));
    assert_eq!(trust.unknown, Vec::<String>::new());
    trust
}

/// What is in a directory, given with a slash at its end.
pub(crate) fn leaves<'a>(names: &'a Names, directory: &'a str) -> impl Iterator<Item = &'a str> {
    let below = names.iter().filter_map(move |path| path.strip_prefix(directory));
    below.filter(|path| !path.contains('/'))
}

/// Every state that a cut during or after `steps` could leave, and the state after all of them.
///
/// Panics if a step cannot be carried out, or if the end of the plan is not durable.
pub(crate) fn cut(before: &Names, steps: &[Step]) -> (BTreeSet<Names>, Names) {
    let steps: Vec<_> = steps.iter().cloned().map(InstallStep::Names).collect();
    cut_install(before, &steps, &Place::root())
}

/// The same for an installation, which gathers its files in `incoming`.
pub(crate) fn cut_install(
    before: &Names,
    steps: &[InstallStep],
    incoming: &Place,
) -> (BTreeSet<Names>, Names) {
    let mut disk = Disk::new(before);
    let mut cuts = disk.survivors();
    for step in steps {
        match step {
            InstallStep::Names(step) => disk.carry_out(step),
            InstallStep::Write(piece) => disk.write(incoming, *piece),
            InstallStep::SyncFile(piece) => disk.sync_file(incoming, *piece),
            InstallStep::ReadBack(piece) => disk.read_back(incoming, *piece),
        }
        cuts.extend(disk.survivors());
    }
    assert!(disk.pending.is_empty(), "{:?} may be lost", disk.pending);
    assert_eq!(disk.durable, disk.now);
    (cuts, disk.now)
}

#[derive(Clone, PartialEq, Debug)]
enum Change {
    Add(String),
    Remove(String),
    Move(String, String),
    Swap(String, String),
}

struct Disk {
    durable: Names,
    now: Names,
    pending: Vec<Change>,
    /// Files that were written and not yet read back.
    unread: BTreeSet<Piece>,
}

impl Disk {
    fn new(names: &Names) -> Self {
        let (durable, now) = (names.clone(), names.clone());
        Self { durable, now, pending: Vec::new(), unread: BTreeSet::new() }
    }

    fn carry_out(&mut self, step: &Step) {
        match step {
            Step::MakeDir(place) | Step::Touch(place) => self.add(place.as_str()),
            Step::Unlink(place) => self.change(Change::Remove(place.to_string())),
            Step::Discard(place) => {
                let to = Place::trash();
                self.change(Change::Move(place.to_string(), format!("{to}/{}", place.leaf())));
            }
            Step::Move { from, to } => {
                assert!(self.unread.is_empty(), "{:?} not read back", self.unread);
                assert!(!self.now.contains(to.as_str()), "{to} is there already");
                self.change(Change::Move(from.to_string(), to.to_string()));
            }
            Step::Replace { from, to } => {
                assert!(self.unread.is_empty(), "{:?} not read back", self.unread);
                self.change(Change::Move(from.to_string(), to.to_string()));
            }
            Step::Exchange(one, other) => {
                self.change(Change::Swap(one.to_string(), other.to_string()));
            }
            Step::Keep(path) => self.keep(path),
            Step::SyncDir(place) => self.sync(place),
            Step::SyncAll => {
                self.pending.clear();
                self.durable = self.now.clone();
            }
        }
    }

    /// Each directory on the way, and the file.
    fn keep(&mut self, kept: &KeptPath) {
        let mut path = "reset".to_owned();
        for part in kept.parts() {
            path = format!("{path}/{part}");
            self.add(&path);
        }
    }

    fn write(&mut self, incoming: &Place, piece: Piece) {
        self.add(&format!("{}{TORN}", incoming.piece(piece)));
        self.unread.insert(piece);
    }

    fn read_back(&mut self, incoming: &Place, piece: Piece) {
        assert!(self.now.contains(incoming.piece(piece).as_str()), "{piece:?} is not synced");
        self.unread.remove(&piece);
    }

    /// The bytes are safe; the name may not be.
    fn sync_file(&mut self, incoming: &Place, piece: Piece) {
        let whole = incoming.piece(piece).to_string();
        let torn = format!("{whole}{TORN}");
        for names in [&mut self.now, &mut self.durable] {
            if names.remove(&torn) {
                names.insert(whole.clone());
            }
        }
        for change in self.pending.iter_mut().filter(|change| **change == Change::Add(torn.clone()))
        {
            *change = Change::Add(whole.clone());
        }
    }

    fn add(&mut self, path: &str) {
        if !self.now.contains(path) {
            self.change(Change::Add(path.to_owned()));
        }
    }

    fn change(&mut self, change: Change) {
        assert!(apply(&mut self.now, &change), "cannot do {change:?} to {:?}", self.now);
        self.pending.push(change);
    }

    fn sync(&mut self, directory: &Place) {
        let (synced, pending) =
            self.pending.drain(..).partition::<Vec<_>, _>(|change| touches(change, directory));
        for change in &synced {
            assert!(apply(&mut self.durable, change), "{change:?} depends on what may be lost");
        }
        self.pending = pending;
    }

    fn survivors(&self) -> BTreeSet<Names> {
        (0..1u32 << self.pending.len()).map(|subset| self.survivor(subset)).collect()
    }

    fn survivor(&self, subset: u32) -> Names {
        let mut names = self.durable.clone();
        for (index, change) in self.pending.iter().enumerate() {
            if subset & 1 << index != 0 {
                apply(&mut names, change);
            }
        }
        names
    }
}

/// Whether there was something to change.
fn apply(names: &mut Names, change: &Change) -> bool {
    match change {
        Change::Add(path) => names.insert(path.clone()),
        Change::Remove(path) => names.remove(path),
        Change::Move(from, to) => rename(names, from, to),
        Change::Swap(one, other) => {
            let moved = [(one.as_str(), "~"), (other, one), ("~", other)];
            moved.into_iter().all(|(from, to)| rename(names, from, to))
        }
    }
}

/// Renames a file or a directory with all that is in it. Where both names exist, it replaces.
fn rename(names: &mut Names, from: &str, to: &str) -> bool {
    let is_part = |path: &&String| {
        path.strip_prefix(from)
            .is_some_and(|rest| ["", "?"].contains(&rest) || rest.starts_with('/'))
    };
    let parts: Vec<_> = names.iter().filter(is_part).cloned().collect();
    for part in &parts {
        names.remove(part);
        names.insert(part.replacen(from, to, 1));
    }
    !parts.is_empty()
}

fn touches(change: &Change, directory: &Place) -> bool {
    let is_in = |path: &str| match path.rsplit_once('/') {
        Some((parent, _)) => parent == directory.as_str(),
        None => directory.as_str() == ".",
    };
    match change {
        Change::Add(path) | Change::Remove(path) => is_in(path),
        Change::Move(from, to) | Change::Swap(from, to) => is_in(from) || is_in(to),
    }
}
