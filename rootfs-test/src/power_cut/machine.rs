//! What a machine does with its store when it starts and when it updates: the library's functions in the order in which
//! stage 1 and the updater call them.

use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use pintle_update::scrub::{Scrub, Scrubbed};
use pintle_update::{
    BadSeals, Begun, EntryFiles, EntryName, Incoming, Installed, Reset, Room, Store, Wanted, reset,
    select,
};
use pintle_verify::{Expect, KeySet, Seal, SigningKey, Unverified, Verified};

/// Where the rig's releases say that they come from.
const ORIGIN: &str = "registry.example.com/os@sha256:1";

/// A file system with a store.
pub struct Machine {
    root: File,
    /// The store on it.
    pub store: Store,
}

impl Machine {
    /// Opens the store of a mounted file system.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(root: &Path) -> Result<Machine> {
        let root = File::open(root)?;
        let store = Store::open(root.as_fd())?;
        Ok(Machine { root, store })
    }

    /// The root directory.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// The entry with this sequence.
    ///
    /// # Errors
    /// When there is none.
    pub fn entry(&self, sequence: u64) -> Result<EntryName> {
        let entries = self.store.entries()?.entries;
        let found = entries.into_iter().find(|entry| entry.sequence() == sequence);
        found.with_context(|| format!("cannot find an entry with sequence {sequence}"))
    }

    /// The first entry in the order whose files are whole.
    ///
    /// # Errors
    /// When there is none.
    pub fn next(&self) -> Result<EntryName> {
        let order = select(&self.store.entries()?.entries, self.store.floor()?);
        let next = order.into_iter().find(|entry| self.check(entry).is_ok());
        next.context("cannot find an entry that boots")
    }

    /// What stage 1 does, up to the mark of the entry that runs then; instead of having the kernel verify the image's
    /// blocks as it reads them, all of them are read here.
    ///
    /// # Errors
    /// When no entry boots.
    pub fn boot(&self) -> Result<EntryName> {
        self.store.prepare()?;
        reset::carry_out_pending(self.root())?;
        self.store.judge_last_run(Reset::Other)?;
        let mut refusals = Vec::new();
        for entry in select(&self.store.entries()?.entries, self.store.floor()?) {
            match self.try_entry(&entry) {
                Ok(running) => return Ok(running),
                Err(refusal) => refusals.push(format!("{entry}: {refusal}")),
            }
        }
        bail!("cannot boot any entry: {refusals:?}")
    }

    fn try_entry(&self, entry: &EntryName) -> Result<EntryName> {
        let counted = self.store.count_try(entry)?;
        self.check(&counted)?;
        self.store.mark_running(&counted)?;
        Ok(counted)
    }

    /// That an entry has a seal that is believed, and the bytes that it speaks of, on the disk.
    ///
    /// # Errors
    /// When not.
    pub fn check(&self, entry: &EntryName) -> Result<Verified<Seal>> {
        let files = self.store.open_entry(entry)?;
        let seal = believe(&files.seal, self.store.floor()?)?;
        ensure!(entry.agrees_with(&seal), "cannot believe {entry}: it has the seal of another");
        let mut scrub = Scrub::begin(files, seal.clone())?;
        loop {
            match scrub.step()? {
                Scrubbed::InPart => {}
                Scrubbed::Whole(damaged) => {
                    ensure!(damaged.is_empty(), "cannot believe {entry}: bad blocks {damaged:?}");
                    return Ok(seal);
                }
            }
        }
    }

    /// Installs the release in a directory, as from a USB stick.
    ///
    /// # Errors
    /// When it cannot be installed.
    pub fn install(&self, release: &Path, bad: BadSeals) -> Result<Installed> {
        let files = EntryFiles::open_release(File::open(release)?.as_fd())?;
        let seal = believe(&files.seal, 0)?;
        Ok(self.store.install(&files, &seal, bad)?)
    }

    /// Installs the release in a directory as if it came from a registry.
    ///
    /// # Errors
    /// When it cannot be installed.
    pub fn fetch(&self, release: &Path) -> Result<Installed> {
        let seal_file = fs::read(release.join("seal"))?;
        let seal = believe(&seal_file, 0)?;
        let (origin, bad) = (Some(ORIGIN), BadSeals::Refuse);
        let wanted = Wanted { seal_file: &seal_file, seal: &seal, origin, bad, delta: 0 };
        match self.store.begin(&wanted, &Room { keep: 2, protected: &[] })? {
            Begun::Here(installed) => Ok(installed),
            Begun::Fetch(incoming) => {
                fill(&incoming, release)?;
                Ok(self.store.finish(incoming, &seal)?)
            }
        }
    }

    /// Fetches an entry's files anew.
    ///
    /// # Errors
    /// When it cannot be repaired.
    pub fn repair(&self, release: &Path) -> Result<Installed> {
        let seal_file = fs::read(release.join("seal"))?;
        let seal = believe(&seal_file, 0)?;
        let entry = self.entry(seal.sequence)?;
        let (origin, bad) = (None, BadSeals::Install);
        let wanted = Wanted { seal_file: &seal_file, seal: &seal, origin, bad, delta: 0 };
        let room = Room { keep: 2, protected: &[] };
        let incoming = self.store.begin_repair(&entry, &wanted, &room)?;
        fill(&incoming, release)?;
        Ok(self.store.finish(incoming, &seal)?)
    }
}

/// The key that the rig's releases are signed with; there is nothing that it could protect.
pub fn key() -> SigningKey {
    SigningKey::generate(&[7; 32])
}

/// Verifies a seal file as a machine does that trusts [`key`].
///
/// # Errors
/// When it is not to be believed.
pub fn believe(seal: &[u8], floor: u64) -> Result<Verified<Seal>> {
    let keys = KeySet::new(vec![key().public()], 1)?;
    let expect = Expect { image_id: None, architecture: None, floor };
    Ok(keys.verify(Unverified(seal), &expect)?)
}

/// What a worker does that fetches all of it.
fn fill(incoming: &Incoming, release: &Path) -> Result<()> {
    for (file, name) in [(incoming.image(), "root.img"), (incoming.tree(), "root.tree")] {
        let file = File::from(file.try_clone()?);
        file.write_all_at(&fs::read(release.join(name))?, 0)?;
    }
    Ok(())
}
