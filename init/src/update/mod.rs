//! Updating this machine: the order of things. The network is the worker's, the rules are the store's, the time is the
//! schedule's.

pub(crate) mod chances;
pub(crate) mod daemon;
mod first_seen;
mod hooks;
pub(crate) mod inhibitors;
mod machine_id;
mod notify;
mod policy;
mod prune;
pub(crate) mod scrub;
pub(crate) mod source;
pub(crate) mod status;
pub(crate) mod worker;

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pintle_config::{System, Update};
use pintle_update::install::admit;
use pintle_update::worker::{Checked, Failed, Found, Job, Said, Task, Traffic, printable};
use pintle_update::{
    BadSeals, Begun, EntryFiles, EntryName, EntryState, Incoming, Installed, Room, Wanted,
};
use pintle_verify::verity::Geometry;
use pintle_verify::{Architecture, Digest, Seal, Verified};
use rustix::fd::{AsFd, BorrowedFd};

use crate::report::Report;
use crate::store::{self, Machine};
use source::{Opened, Origin, Session, TOTAL};
use worker::Work;

/// The service that the configuration adds to an image with a table `[update]`.
pub(crate) const SERVICE: &str = "pintle-update";

/// A check is some small requests.
const CHECK_LIMIT: Duration = Duration::from_secs(5 * 60);

/// Entries whose blocks are looked for; what a machine keeps, and a few.
const SOURCES_MAX: usize = 12;

/// Slack beyond the image for the largest file that the worker may write: a delta can have more bytes than a small image.
const DELTA_MAX: u64 = 1 << 20;

/// The system configuration of the image that runs.
const SYSTEM: &str = "/usr/lib/pintle/system.bin";

/// What is known from the last check.
#[derive(Clone, Default, Debug)]
pub(crate) struct Memory {
    known: Option<Vec<u8>>,
    tokens: Vec<u8>,
}

/// A machine that can be updated.
pub(crate) struct Updater {
    pub(crate) machine: Machine,
    /// The table `[update]`, where the image has one.
    pub(crate) settings: Option<Update>,
    memory: Memory,
    pub(crate) traffic: Traffic,
    /// The most bytes that the next job may receive.
    pub(crate) budget: Option<u64>,
}

/// A release that is to be had.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) seal_file: Vec<u8>,
    pub(crate) seal: Verified<Seal>,
    manifest: Digest,
    deltas: Vec<(Digest, u64)>,
    /// Kept with the entry; nothing for what did not come from a registry.
    origin: Option<String>,
}

/// What a tag names.
#[derive(Debug)]
pub(crate) enum News {
    /// The same as at the last check.
    Unchanged,
    /// A release.
    Release(Box<Candidate>),
}

/// What a release is to this machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// Newer than all that is installed.
    Newer,
    /// Installed, under this name.
    Installed(EntryName),
    /// Older than what is installed.
    Older,
}

/// Why a machine is not updated.
#[derive(Debug)]
pub(crate) enum Error {
    /// The store's, or the machine's own.
    Store(store::Error),
    /// A file that the worker must be told.
    Source(source::Error),
    /// The worker's.
    Worker(worker::Error),
    /// It says why not itself.
    Failed(Failed),
    /// The tag has nothing for this machine.
    NoRelease { origin: String },
    /// Its time is over, in seconds since 1970.
    Expired { best_before: u64 },
    /// It would not boot, because what runs is newer.
    Older { sequence: u64, installed: u64 },
    /// All bytes that may be received were.
    Spent,
    /// The image has no table `[update]`.
    FollowsNothing,
    /// The worker answers something else than it was asked.
    Astray,
    /// The image's own command is against the installation; what it said.
    Vetoed(String),
}

impl Updater {
    /// The updater of the running machine.
    pub(crate) fn here() -> Result<Self, Error> {
        let machine = Machine::here()?;
        let settings = std::fs::read(SYSTEM).ok();
        let settings = settings.and_then(|bytes| System::from_bytes(&bytes).ok()?.update);
        let (memory, traffic) = (Memory::default(), Traffic::default());
        Ok(Self { machine, settings, memory, traffic, budget: None })
    }

    /// Finds out what is there. Nothing of it is on this machine afterwards.
    pub(crate) fn check(&mut self, origin: &Origin) -> Result<News, Error> {
        let opened = self.open(origin)?;
        let (architecture, known) = (Architecture::running(), self.memory.known.clone());
        let job = Job { source: opened.source, task: Task::Check { architecture, known } };
        let files: Vec<_> = opened.file.iter().map(AsFd::as_fd).collect();
        let work = Work { job: &job, files: &files, largest: 0, limit: CHECK_LIMIT };
        match worker::work(&work, &mut |_| {})? {
            Said::Unchanged { tokens, traffic } => {
                self.memory.tokens = tokens;
                self.count(traffic);
                Ok(News::Unchanged)
            }
            Said::Checked(checked) => self.believe(origin, checked),
            Said::Failed(failed) => Err(Error::Failed(failed)),
            Said::Way(_) | Said::Progress { .. } | Said::Fetched { .. } | Said::Spent { .. } => {
                Err(Error::Astray)
            }
        }
    }

    /// What was found is only what somebody claims, until its seal is verified.
    fn believe(&mut self, origin: &Origin, checked: Checked) -> Result<News, Error> {
        self.count(checked.traffic);
        let Some(found) = checked.release else {
            return Err(Error::NoRelease { origin: origin.to_string() });
        };
        let Found { manifest, seal: seal_file, deltas } = found;
        let seal = self.machine.verify(&seal_file)?;
        self.memory = Memory { known: checked.known, tokens: checked.tokens };
        let origin = match origin {
            Origin::Registry(reference) => Some(at_digest(reference, &manifest)),
            Origin::File(_) => None,
        };
        Ok(News::Release(Box::new(Candidate { seal_file, seal, manifest, deltas, origin })))
    }

    /// What a release is to this machine.
    pub(crate) fn standing(&self, candidate: &Candidate) -> Result<Standing, Error> {
        let entries = self.machine.store.entries().map_err(store::Error::from)?.entries;
        let sequence = candidate.seal.sequence;
        if let Some(entry) = entries.iter().find(|entry| entry.sequence() == sequence) {
            return Ok(Standing::Installed(entry.clone()));
        }
        match newest(&entries) {
            Some(newest) if newest > sequence => Ok(Standing::Older),
            Some(_) | None => Ok(Standing::Newer),
        }
    }

    /// Fetches a release and makes it an entry, on trial.
    pub(crate) fn install(
        &mut self,
        (origin, candidate): (&Origin, &Candidate),
        bad: BadSeals,
        heard: &mut dyn FnMut(&Said),
    ) -> Result<Installed, Error> {
        let incoming = match self.begin(candidate, bad)? {
            Begun::Here(installed) => return Ok(installed),
            Begun::Fetch(incoming) => incoming,
        };
        self.fetch((origin, candidate), &incoming, heard)?;
        self.ask_hook(bad)?;
        let store = &self.machine.store;
        let installed = store.finish(incoming, &candidate.seal).map_err(store::Error::from)?;
        self.tell_hook();
        Ok(installed)
    }

    /// The image's own command may be against an installation; somebody who insists does not ask it.
    fn ask_hook(&self, bad: BadSeals) -> Result<(), Error> {
        let settings = self.settings.as_ref().filter(|_| bad == BadSeals::Refuse);
        match settings.and_then(hooks::before) {
            Some(Err(veto)) => Err(Error::Vetoed(veto)),
            Some(Ok(())) | None => Ok(()),
        }
    }

    fn tell_hook(&self) {
        if let Some(Err(cause)) = self.settings.as_ref().and_then(hooks::after) {
            Report::open().alert("update", &cause);
        }
    }

    /// Fetches a release and leaves it in `incoming/`; a later installation finds it there.
    pub(crate) fn download(
        &mut self,
        (origin, candidate): (&Origin, &Candidate),
        bad: BadSeals,
        heard: &mut dyn FnMut(&Said),
    ) -> Result<(), Error> {
        match self.begin(candidate, bad)? {
            Begun::Here(_) => Ok(()),
            Begun::Fetch(incoming) => self.fetch((origin, candidate), &incoming, heard),
        }
    }

    /// Fetches what is damaged of an entry, and replaces its files.
    pub(crate) fn repair(
        &mut self,
        entry: &EntryName,
        (origin, candidate): (&Origin, &Candidate),
        heard: &mut dyn FnMut(&Said),
    ) -> Result<Installed, Error> {
        let (keep, protected) = self.room()?;
        let room = Room { keep, protected: &protected };
        let wanted = wanted(candidate, BadSeals::Install, self.delta_bytes(candidate)?);
        let store = &self.machine.store;
        let incoming = store.begin_repair(entry, &wanted, &room).map_err(store::Error::from)?;
        self.fetch((origin, candidate), &incoming, heard)?;
        Ok(self.machine.store.finish(incoming, &candidate.seal).map_err(store::Error::from)?)
    }

    /// Whether a release may be installed without anybody insisting: known before a byte of it is fetched.
    pub(crate) fn admit(&self, candidate: &Candidate) -> Result<(), Error> {
        self.check_age(candidate)?;
        let trust = self.machine.store.trust().map_err(store::Error::from)?;
        let admitted = admit(&trust, &candidate.seal, BadSeals::Refuse);
        admitted.map_err(|cause| store::Error::from(pintle_update::Error::from(cause)).into())
    }

    fn begin(&self, candidate: &Candidate, bad: BadSeals) -> Result<Begun, Error> {
        if bad == BadSeals::Refuse {
            self.check_age(candidate)?;
        }
        self.check_sequence(candidate)?;
        let (keep, protected) = self.room()?;
        let room = Room { keep, protected: &protected };
        let wanted = wanted(candidate, bad, self.delta_bytes(candidate)?);
        Ok(self.machine.store.begin(&wanted, &room).map_err(store::Error::from)?)
    }

    fn check_age(&self, candidate: &Candidate) -> Result<(), Error> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        match candidate.seal.best_before {
            Some(best_before) if best_before < now => Err(Error::Expired { best_before }),
            Some(_) | None => Ok(()),
        }
    }

    /// An older release would be installed in vain: what boots is what has the highest sequence.
    fn check_sequence(&self, candidate: &Candidate) -> Result<(), Error> {
        if self.standing(candidate)? != Standing::Older {
            return Ok(());
        }
        let entries = self.machine.store.entries().map_err(store::Error::from)?.entries;
        let installed = newest(&entries).unwrap_or_default();
        Err(Error::Older { sequence: candidate.seal.sequence, installed })
    }

    /// How many entries are kept, and which in any case: the one that runs, and those of which it is not known yet
    /// whether they were to blame for not reaching their registry. What is pinned the store knows.
    pub(crate) fn room(&self) -> Result<(usize, Vec<u64>), Error> {
        let keep = self.settings.as_ref().map_or(2, |settings| settings.keep.get());
        let trust = self.machine.store.trust().map_err(store::Error::from)?;
        let mut protected: Vec<u64> = trust.unreached.into_iter().collect();
        protected.push(self.machine.running()?.sequence());
        Ok((usize::try_from(keep).unwrap_or(2), protected))
    }

    /// Of the deltas only one that starts from an image which is here can be used, and none that is larger than the image:
    /// nobody has vouched for these numbers, and entries may be given up to make room for them.
    fn delta_bytes(&self, candidate: &Candidate) -> Result<u64, Error> {
        let (_, here) = self.sources()?;
        let most = candidate.seal.image_size;
        let usable =
            candidate.deltas.iter().filter(|(from, size)| here.contains(from) && *size <= most);
        Ok(usable.map(|(_, size)| *size).max().unwrap_or(0))
    }

    /// The entries that blocks can be copied from, and the root hash of each. Damaged ones serve too: each block is
    /// checked.
    fn sources(&self) -> Result<(Vec<EntryFiles>, Vec<Digest>), Error> {
        let entries = self.machine.store.entries().map_err(store::Error::from)?.entries;
        let opened = entries.iter().filter_map(|entry| self.machine.store.open_entry(entry).ok());
        let with_hash = opened.filter_map(|files| {
            let root_hash = pintle_verify::peek(&files.seal).ok()?.root_hash;
            Some((files, root_hash))
        });
        Ok(with_hash.take(SOURCES_MAX).unzip())
    }

    fn fetch(
        &mut self,
        (origin, candidate): (&Origin, &Candidate),
        incoming: &Incoming,
        heard: &mut dyn FnMut(&Said),
    ) -> Result<(), Error> {
        let (opened, (sources, hashes)) = (self.open(origin)?, self.sources()?);
        let task = Task::Fetch {
            manifest: candidate.manifest,
            seal: candidate.seal_file.clone(),
            keys: self.machine.key_file()?,
            sources: hashes,
            budget: self.budget,
        };
        let job = Job { source: opened.source, task };
        let mut files: Vec<BorrowedFd<'_>> = opened.file.iter().map(AsFd::as_fd).collect();
        files.extend([incoming.image(), incoming.tree(), incoming.delta()].map(AsFd::as_fd));
        files.extend(sources.iter().flat_map(|files| [files.image.as_fd(), files.tree.as_fd()]));
        let largest = largest(&candidate.seal)?;
        let work = Work { job: &job, files: &files, largest, limit: self.total_limit() };
        match worker::work(&work, heard)? {
            Said::Fetched { traffic } => {
                self.count(traffic);
                Ok(())
            }
            Said::Spent { traffic } => {
                self.count(traffic);
                Err(Error::Spent)
            }
            Said::Failed(failed) => Err(Error::Failed(failed)),
            Said::Unchanged { .. } | Said::Checked(_) | Said::Way(_) | Said::Progress { .. } => {
                Err(Error::Astray)
            }
        }
    }

    fn open(&self, origin: &Origin) -> Result<Opened, Error> {
        let session = Session { tokens: &self.memory.tokens, seed: seed() };
        origin.open(self.settings.as_ref(), &session).map_err(Error::Source)
    }

    fn total_limit(&self) -> Duration {
        let limit = self.settings.as_ref().map_or(TOTAL, |settings| settings.total_timeout.get());
        Duration::from_millis(limit)
    }

    fn count(&mut self, traffic: Traffic) {
        self.traffic = Traffic {
            requests: self.traffic.requests.saturating_add(traffic.requests),
            sent: self.traffic.sent.saturating_add(traffic.sent),
            received: self.traffic.received.saturating_add(traffic.received),
        };
    }
}

fn wanted(candidate: &Candidate, bad: BadSeals, delta: u64) -> Wanted<'_> {
    Wanted {
        seal_file: &candidate.seal_file,
        seal: &candidate.seal,
        origin: candidate.origin.as_deref(),
        bad,
        delta,
    }
}

/// The highest sequence of what may boot as a good entry or a trial.
fn newest(entries: &[EntryName]) -> Option<u64> {
    let may_boot =
        |entry: &&EntryName| matches!(entry.state(), EntryState::Good | EntryState::Trial { .. });
    entries.iter().filter(may_boot).map(EntryName::sequence).max()
}

fn largest(seal: &Seal) -> Result<u64, Error> {
    let tree = Geometry::of_image(seal.image_size).map_err(store::Error::from)?.tree_size();
    Ok(seal.image_size.max(tree).saturating_add(DELTA_MAX))
}

/// `HOST/REPOSITORY@DIGEST`, whatever tag or digest the reference had.
fn at_digest(reference: &str, manifest: &Digest) -> String {
    let reference = reference.split('@').next().unwrap_or_default();
    let (path, tag) = reference.rsplit_once(':').unwrap_or((reference, ""));
    // A colon before the last slash is that of a port.
    let name = if tag.contains('/') { reference } else { path };
    format!("{name}@sha256:{}", manifest.hex())
}

/// Another one on each machine and in each life.
fn seed() -> u64 {
    let mut bytes = [0; 8];
    let flags = rustix::rand::GetRandomFlags::NONBLOCK;
    // Early in a boot there may be no entropy yet; it only spreads what is tried again.
    rustix::rand::getrandom(bytes.as_mut_slice(), flags).unwrap_or_default();
    u64::from_le_bytes(bytes)
}

impl Error {
    /// When the registry wants to be asked again.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Failed(failed) => {
                failed.retry_after.map(|seconds| Duration::from_secs(seconds.into()))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(cause) => cause.fmt(f),
            Self::Source(cause) => cause.fmt(f),
            Self::Worker(cause) => cause.fmt(f),
            Self::Failed(failed) => f.write_str(&printable(&failed.text)),
            Self::NoRelease { origin } => write!(
                f,
                "cannot update from {origin}: it has no release for {}; pintle push makes one",
                Architecture::running().as_str()
            ),
            Self::Expired { best_before } => write!(
                f,
                "cannot install release: it was to be installed before {best_before} (seconds since 1970), which is over \
                 by this machine's clock; --force installs it all the same"
            ),
            Self::Older { sequence, installed } => write!(
                f,
                "cannot install release {sequence}: {installed} is installed and newer, and would boot instead; \
                 build it again with a higher --sequence, or use pintlectl rollback"
            ),
            Self::Spent => f.write_str("cannot fetch: what may be received today was received"),
            Self::FollowsNothing => f.write_str(
                "cannot update: the image follows no tag; set `from` in [update] when it is built",
            ),
            Self::Vetoed(cause) => {
                write!(f, "cannot install: {cause}; --force installs all the same")
            }
            Self::Astray => f.write_str("cannot fetch: the worker answers what it was not asked"),
        }
    }
}

impl From<store::Error> for Error {
    fn from(cause: store::Error) -> Self {
        Self::Store(cause)
    }
}

impl From<worker::Error> for Error {
    fn from(cause: worker::Error) -> Self {
        Self::Worker(cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_remembers_the_manifest_and_not_the_tag() {
        let digest = Digest::of(b"");
        let table = [
            ("r.example.com/os:v1", "r.example.com/os"),
            ("r.example.com:5000/os/a:v1", "r.example.com:5000/os/a"),
            ("r.example.com:5000/os", "r.example.com:5000/os"),
            ("r.example.com/os:v1@sha256:00", "r.example.com/os"),
        ];
        for (reference, name) in table {
            let expected = format!("{name}@sha256:{}", digest.hex());
            assert_eq!(at_digest(reference, &digest), expected);
        }
    }
}
