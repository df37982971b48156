//! A release that comes in pieces from elsewhere, and may take several attempts: what is there of it stays in
//! `incoming/<sequence>/`, and is judged by its leaves alone. There is no other state of a download.

use pintle_verify::verity::Geometry;
use pintle_verify::{Seal, Verified, peek};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{self, FallocateFlags, OFlags, fallocate};
use rustix::io::Errno;

use crate::hands::{Hands, failed};
use crate::install::{self, BadSeals, Installed};
use crate::installer::Installer;
use crate::trash::Emptied;
use crate::{EntryFiles, EntryName, Error, Piece, Place, Refused, Step, Store, listing};

/// The file that a delta is gathered in; never part of an entry.
const DELTA: &str = "delta";

/// Names that are removed before the space is looked at anew.
const TRASH_AT_A_TIME: usize = 1000;

/// Bytes that `stat` counts as one block.
const STAT_BLOCK: u64 = 512;

/// A release that is to be fetched.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The content of its seal file.
    pub seal_file: &'a [u8],
    /// What the machine believes of it.
    pub seal: &'a Verified<Seal>,
    /// Where it comes from, if from a registry: kept with the entry.
    pub origin: Option<&'a str>,
    /// Whether one that turned out bad is wanted all the same.
    pub bad: BadSeals,
    /// Bytes of the largest delta that may be fetched for it.
    pub delta: u64,
}

/// What may be given up for a release where the space does not suffice.
#[derive(Clone, Copy, Debug)]
pub struct Room<'a> {
    /// How many entries are kept, the new one among them.
    pub keep: usize,
    /// Sequences that stay in any case: the running entry's, pinned ones.
    pub protected: &'a [u64],
}

/// What is to be done about a release.
#[derive(Debug)]
pub enum Begun {
    /// Its files are to be filled.
    Fetch(Incoming),
    /// Its image is here already.
    Here(Installed),
}

/// The files of a release that is being fetched: as long as the image and the tree will be, with
/// whatever an earlier attempt left in them.
///
/// While it is held, nothing else is installed.
#[derive(Debug)]
pub struct Incoming {
    files: EntryFiles,
    delta: OwnedFd,
    sequence: u64,
    /// The entry whose damaged files these are to replace.
    repairs: Option<EntryName>,
    _only_one: OwnedFd,
}

impl Incoming {
    /// `root.img`, to be written in place.
    pub fn image(&self) -> &OwnedFd {
        &self.files.image
    }

    /// `root.tree`, to be written in place.
    pub fn tree(&self) -> &OwnedFd {
        &self.files.tree
    }

    /// Where the bytes of a delta are gathered.
    pub fn delta(&self) -> &OwnedFd {
        &self.delta
    }
}

impl Store {
    /// Prepares the fetching of a release: refuses what may not be installed, and takes the space
    /// that it needs before a byte is fetched.
    pub fn begin(&self, wanted: &Wanted<'_>, room: &Room<'_>) -> Result<Begun, Error> {
        if peek(wanted.seal_file).as_ref() != Ok(&**wanted.seal) {
            return Err(Refused::OtherSeal.into());
        }
        install::admit(&self.trust()?, wanted.seal, wanted.bad)?;
        let only_one = self.hands.lock(&Place::incoming())?;
        let entries = self.entries()?.entries;
        let here = entries.into_iter().find(|entry| entry.sequence() == wanted.seal.sequence);
        if let Some(entry) = here {
            return self.renew(entry, wanted).map(Begun::Here);
        }
        self.open_incoming(wanted, room, only_one).map(Begun::Fetch)
    }

    /// Prepares the fetching of an installed entry's files, some of which are damaged.
    pub fn begin_repair(
        &self,
        entry: &EntryName,
        wanted: &Wanted<'_>,
        room: &Room<'_>,
    ) -> Result<Incoming, Error> {
        let only_one = self.hands.lock(&Place::incoming())?;
        if !entry.agrees_with(wanted.seal) {
            return Err(Refused::OtherSeal.into());
        }
        let incoming = self.open_incoming(wanted, room, only_one)?;
        Ok(Incoming { repairs: Some(entry.clone()), ..incoming })
    }

    /// Makes an entry out of a release that was fetched, on trial; or mends the entry that it
    /// is for. To be called when nobody else can write to the files any more.
    ///
    /// On success everything of it is on the disk and was read back from there; on an error the
    /// selection is what it was, and what was fetched stays for the next attempt unless the disk has
    /// lost some of it.
    pub fn finish(&self, incoming: Incoming, seal: &Verified<Seal>) -> Result<Installed, Error> {
        let (installed, steps) = match &incoming.repairs {
            None => {
                let (name, steps) = install::fetched_steps(seal, self.tries());
                (Installed::New(name), steps)
            }
            Some(entry) => (Installed::Mended(entry.clone()), install::repair_steps(seal, entry)),
        };
        self.drop_leftover(&incoming)?;
        let done = Installer::of_fetched(&self.hands, &incoming.files, seal)
            .and_then(|mut installer| steps.iter().try_for_each(|step| installer.carry_out(step)));
        match done {
            Ok(()) => Ok(installed),
            Err(error) => {
                self.forget(&error, incoming.sequence);
                Err(error)
            }
        }
    }

    /// Throws away what is there of a release that cannot be completed.
    pub fn give_up(&self, incoming: Incoming) -> Result<(), Error> {
        self.hands.carry_out(&install::clear_steps(incoming.sequence))
    }

    fn renew(&self, entry: EntryName, wanted: &Wanted<'_>) -> Result<Installed, Error> {
        let files = self.open_entry(&entry)?;
        let release = EntryFiles { seal: wanted.seal_file.to_vec(), ..files };
        match wanted.bad {
            BadSeals::Install => self.install_again(entry, &release, wanted.seal),
            BadSeals::Refuse => self.reseal(entry, &release, wanted.seal),
        }
    }

    fn open_incoming(
        &self,
        wanted: &Wanted<'_>,
        room: &Room<'_>,
        only_one: OwnedFd,
    ) -> Result<Incoming, Error> {
        let sequence = wanted.seal.sequence;
        self.clear_others(sequence)?;
        self.hands.carry_out(&[Step::MakeDir(Place::fetched(sequence))])?;
        let open = |name: &str| self.hands.open_or_make(&Place::fetched(sequence).child(name));
        let files = EntryFiles {
            image: open(Piece::Image.file_name())?,
            tree: open(Piece::Tree.file_name())?,
            seal: wanted.seal_file.to_vec(),
            origin: wanted.origin.map(str::to_owned),
        };
        let delta = open(DELTA)?;
        let place = Place::root().child(DELTA);
        shorten(&delta, wanted.delta, &place)?;
        let there = allocated(&delta, &place)?;
        let rest = wanted.delta.saturating_sub(there);
        self.take_space(&files, &Wanted { delta: rest, ..*wanted }, room)?;
        Ok(Incoming { files, delta, sequence, repairs: None, _only_one: only_one })
    }

    /// A machine fetches one release at a time; what is there of others is only in the way.
    fn clear_others(&self, sequence: u64) -> Result<(), Error> {
        let names = listing::names(&self.hands, &Place::incoming())?;
        let others = names.iter().filter(|(name, _)| *name != sequence.to_string());
        let mut steps: Vec<_> =
            others.map(|(name, _)| Step::Discard(Place::incoming().child(name))).collect();
        if !steps.is_empty() {
            steps.push(Step::SyncDir(Place::incoming()));
        }
        self.hands.carry_out(&steps)
    }

    fn take_space(
        &self,
        files: &EntryFiles,
        wanted: &Wanted<'_>,
        room: &Room<'_>,
    ) -> Result<(), Error> {
        let tree = Geometry::of_image(wanted.seal.image_size)?.tree_size();
        set_length(&files.image, wanted.seal.image_size, Piece::Image)?;
        set_length(&files.tree, tree, Piece::Tree)?;
        let place = |piece| Place::root().piece(piece);
        let there = allocated(&files.image, &place(Piece::Image))?
            .saturating_add(allocated(&files.tree, &place(Piece::Tree))?);
        let needed = |block| {
            let all = install::space(wanted.seal, block)?.saturating_add(wanted.delta);
            Ok(all.saturating_sub(there))
        };
        self.make_room(&needed, room)?;
        reserve(&files.image, wanted.seal.image_size, Piece::Image)
    }

    /// The trash goes first, then entries that would not be kept beside the new one, but none in vain.
    fn make_room(
        &self,
        needed: &dyn Fn(u64) -> Result<u64, Error>,
        room: &Room<'_>,
    ) -> Result<(), Error> {
        while self.lack(needed)?.is_some() {
            if self.empty_trash(TRASH_AT_A_TIME)? == Emptied::Whole {
                self.give_up_entries(needed, room)?;
            }
        }
        Ok(())
    }

    fn give_up_entries(
        &self,
        needed: &dyn Fn(u64) -> Result<u64, Error>,
        room: &Room<'_>,
    ) -> Result<(), Error> {
        let Some(Lack { needed, free }) = self.lack(needed)? else { return Ok(()) };
        let surplus = self.surplus(room.keep.saturating_sub(1), room.protected)?;
        let gained =
            surplus.iter().map(|entry| self.size_of(entry)).fold(free, u64::saturating_add);
        if surplus.is_empty() || gained < needed {
            return Err(Error::Space { needed, free });
        }
        self.discard(&surplus)
    }

    /// What is on the disk of an entry's two large files. What cannot be looked at counts as nothing.
    fn size_of(&self, entry: &EntryName) -> u64 {
        let size = |piece| {
            let place = Place::entry(entry).piece(piece);
            allocated(&self.hands.open_at(&place, OFlags::RDONLY).ok()?, &place).ok()
        };
        [Piece::Image, Piece::Tree].into_iter().filter_map(size).fold(0, u64::saturating_add)
    }

    fn lack(&self, needed: &dyn Fn(u64) -> Result<u64, Error>) -> Result<Option<Lack>, Error> {
        let (free, block) = self.hands.free_space()?;
        let needed = needed(block)?;
        Ok((free < needed).then_some(Lack { needed, free }))
    }

    /// What an attempt that was cut while it finished left beside the image and the tree.
    fn drop_leftover(&self, incoming: &Incoming) -> Result<(), Error> {
        let place = Place::fetched(incoming.sequence);
        let names = listing::names(&self.hands, &place)?;
        let kept = [Piece::Image.file_name(), Piece::Tree.file_name()];
        let surplus = names.iter().filter(|(name, _)| !kept.contains(&name.as_str()));
        let steps: Vec<_> = surplus.map(|(name, _)| Step::Unlink(place.child(name))).collect();
        self.hands.carry_out(&steps)
    }

    /// What the disk did not keep is not to be built upon.
    fn forget(&self, error: &Error, sequence: u64) {
        if matches!(error, Error::Damaged { .. } | Error::Verify(_) | Error::Abandoned) {
            // If it cannot be cleared either, its leaves still tell what is wrong.
            self.hands.carry_out(&install::clear_steps(sequence)).unwrap_or_default();
        }
    }
}

/// Less free space than is needed.
struct Lack {
    needed: u64,
    free: u64,
}

impl Hands {
    /// Opens a file for writing in place, and makes it where it is missing.
    fn open_or_make(&self, place: &Place) -> Result<OwnedFd, Error> {
        match self.open_at(place, OFlags::RDWR) {
            Err(error) if error.is_missing() => self.create(place),
            file => file,
        }
    }
}

fn set_length(file: &OwnedFd, length: u64, piece: Piece) -> Result<(), Error> {
    let place = Place::root().piece(piece);
    let stat = fs::fstat(file).map_err(|cause| failed("look at", &place, cause))?;
    if u64::try_from(stat.st_size) == Ok(length) {
        return Ok(());
    }
    fs::ftruncate(file.as_fd(), length).map_err(|cause| failed("set the length of", &place, cause))
}

fn allocated(file: &OwnedFd, place: &Place) -> Result<u64, Error> {
    let stat = fs::fstat(file).map_err(|cause| failed("look at", place, cause))?;
    Ok(u64::try_from(stat.st_blocks).unwrap_or_default().saturating_mul(STAT_BLOCK))
}

/// What is there beyond that is of another delta.
fn shorten(file: &OwnedFd, most: u64, place: &Place) -> Result<(), Error> {
    let stat = fs::fstat(file).map_err(|cause| failed("look at", place, cause))?;
    match u64::try_from(stat.st_size) {
        Ok(length) if length > most => {
            fs::ftruncate(file, most).map_err(|cause| failed("shorten", place, cause))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Takes the space now rather than run out of it at the end. Not every file system can.
fn reserve(file: &OwnedFd, size: u64, piece: Piece) -> Result<(), Error> {
    match fallocate(file, FallocateFlags::empty(), 0, size) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        Err(cause) => Err(failed("reserve space for", &Place::root().piece(piece), cause)),
    }
}
