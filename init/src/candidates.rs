//! The entries, one after the other, until one boots.

use std::convert::Infallible;
use std::path::Path;

use pintle_config::{ModuleTable, Purpose, System, VerityWay};
use pintle_mount::ext4::Verity;
use pintle_mount::modules::Loader;
use pintle_mount::{Image, Root, Way, map_and_mount};
use pintle_sys::watchdog::Watchdog;
use pintle_update::{EntryFiles, EntryName, EntryState, Store, select};
use pintle_verify::{Architecture, Expect, KeySet, Seal, Unverified, Verified};

use crate::handover::Refused;
use crate::new_root::{self, NEW_ROOT, Next};
use crate::refusal::Refusal;
use crate::report::{Event, Report};
use crate::stages::{Failure, Settings, feed};
use crate::store;

/// What stage 1 chooses from, and what it needs to try it.
pub(crate) struct Candidates<'a> {
    pub(crate) settings: Settings,
    pub(crate) keys: &'a KeySet,
    pub(crate) store: Store,
    /// Whether the state file system can hold files that fs-verity seals.
    pub(crate) verity: Verity,
    pub(crate) table: &'a ModuleTable,
    pub(crate) modules: Loader<'a>,
    pub(crate) watchdog: Option<Watchdog>,
    pub(crate) report: &'a mut Report,
    /// Those that were passed over, for the machine's status.
    pub(crate) refused: Vec<Refused>,
}

/// What is handed over of refusals: the report has all of them, whole.
const REFUSED_MAX: usize = 8;
const REASON_MAX: usize = 200;

/// An entry whose image is mounted on [`NEW_ROOT`], each block of it verified.
pub(crate) struct Mounted {
    pub(crate) entry: EntryName,
    pub(crate) seal: Verified<Seal>,
    pub(crate) root: Root,
    /// What the image wants to run.
    pub(crate) system: System,
    pub(crate) next: Next,
}

/// Boots the first entry, in the store's order, that can be booted.
pub(crate) fn boot_first_that_works(mut all: Candidates<'_>) -> Result<Infallible, Failure> {
    let entries = all.entries()?;
    for entry in &entries {
        match all.try_entry(entry) {
            Ok(mounted) => return new_root::enter(all, mounted),
            Err(refusal) => all.refuse(entry, &refusal),
        }
    }
    Err(Failure::NothingBoots { entries: entries.len() })
}

impl Candidates<'_> {
    /// The entries in the order in which to try them; the one that the command line names comes first.
    fn entries(&mut self) -> Result<Vec<EntryName>, Failure> {
        let listing = self.store.entries().map_err(store::Error::from)?;
        for name in &listing.unknown {
            self.report.alert("images", &format!("{name:?} is not the name of an entry"));
        }
        let trust = self.store.trust().map_err(store::Error::from)?;
        for name in &trust.unknown {
            self.report.alert("trust", &format!("{name:?} is no name that this version knows"));
        }
        let floor = trust.floor;
        let mut entries = select(&listing.entries, floor);
        if let Some(wanted) = &self.settings.overrides.entry {
            if !entries.iter().any(|entry| is_called(entry, wanted.as_str())) {
                let reason = format!("pintle.entry: {wanted} is not installed, or below the floor");
                self.report.event(&Event::OptionIgnored { reason: &reason });
            }
            entries.sort_by_key(|entry| !is_called(entry, wanted.as_str()));
        }
        Ok(entries)
    }

    fn try_entry(&mut self, entry: &EntryName) -> Result<Mounted, Refusal> {
        let counted = self.count(entry)?;
        self.announce(&counted, entry.state());
        let files = self.store.open_entry(&counted)?;
        let seal = self.believe(&counted, &files)?;
        let root = self.mount(files, &seal)?;
        self.announce_root(&counted, &seal, &root);
        new_root::warn_of_other_modules(self.report);
        let (system, next) =
            what_runs().inspect_err(|_| drop(root.unmount(Path::new(NEW_ROOT))))?;
        self.note_running(&counted, &next);
        Ok(Mounted { entry: counted, seal, root, system, next })
    }

    /// Durably, before anything of the entry is used. Only a trial is refused for want of a counter: a good entry has
    /// none, and a bad one is the last resort.
    fn count(&mut self, entry: &EntryName) -> Result<EntryName, Refusal> {
        match (self.store.count_try(entry), entry.state()) {
            (Ok(counted), _) => Ok(counted),
            (Err(cause), EntryState::Trial { .. }) => Err(Refusal::Uncounted(cause)),
            (Err(cause), EntryState::Good | EntryState::Bad { .. } | EntryState::Rejected) => {
                self.report.alert("boot counting", &cause.to_string());
                Ok(entry.clone())
            }
        }
    }

    fn believe(&self, entry: &EntryName, files: &EntryFiles) -> Result<Verified<Seal>, Refusal> {
        let expect = Expect {
            image_id: Some(self.settings.boot.image_id.as_str().parse()?),
            architecture: Some(Architecture::running()),
            floor: self.store.floor()?,
        };
        let seal = self.keys.verify(Unverified(&files.seal), &expect)?;
        match entry.agrees_with(&seal) {
            true => Ok(seal),
            false => Err(Refusal::OtherSeal { sequence: seal.sequence }),
        }
    }

    /// The first way that works here. Each of them checks everything; so only what is not what was sealed ends the
    /// search, and not, say, a disk that is too full for fs-verity's tree.
    fn mount(&mut self, files: EntryFiles, seal: &Verified<Seal>) -> Result<Root, Refusal> {
        let EntryFiles { image: data, tree, .. } = files;
        let image = Image { data, tree, seal };
        let mut refusal = Refusal::NoWay;
        for way in ways(&self.settings, self.verity) {
            self.load_for(purpose(way));
            let mut feed = || feed(self.watchdog.as_ref());
            match map_and_mount(&image, way, Path::new(NEW_ROOT), &mut feed) {
                Err(cause @ pintle_mount::Error::Tampered(_)) => return Err(cause.into()),
                Err(cause) => refusal = cause.into(),
                Ok(root) => return Ok(root),
            }
        }
        Err(refusal)
    }

    /// Loads the modules that the boot needs from here on.
    pub(crate) fn load_for(&mut self, purpose: Purpose) {
        self.table.roots(purpose).for_each(|position| self.modules.load(position));
    }

    /// Without the mark, an entry that hangs is not told from one that was switched off. Another init notes no clean
    /// shutdown, and is not to be blamed for that.
    fn note_running(&mut self, entry: &EntryName, next: &Next) {
        let noted = match next {
            Next::Myself | Next::Own(_) => self.store.mark_running(entry),
            Next::Other(_) => self.store.mark_clean(),
        };
        if let Err(cause) = noted {
            self.report.alert("boot counting", &cause.to_string());
        }
    }

    /// The last try of a trial is one too, though by its name it is bad now.
    fn announce(&mut self, entry: &EntryName, before: EntryState) {
        let state = new_root::state_word(before);
        self.report.event(&Event::EntryChosen { entry: &entry.to_string(), state });
    }

    fn announce_root(&mut self, entry: &EntryName, seal: &Seal, root: &Root) {
        self.report.event(&Event::RootMounted {
            entry: &entry.to_string(),
            verity: new_root::way_word(root),
            root_hash: &seal.root_hash.hex(),
        });
    }

    fn refuse(&mut self, entry: &EntryName, refusal: &Refusal) {
        let (entry, reason) = (entry.to_string(), refusal.to_string());
        self.report.event(&Event::EntryRefused { entry: &entry, reason: &reason });
        if self.refused.len() < REFUSED_MAX {
            let reason = reason.chars().take(REASON_MAX).collect();
            self.refused.push(Refused { entry, reason });
        }
    }
}

fn what_runs() -> Result<(System, Next), Refusal> {
    let system = new_root::read_system()?;
    let next = Next::of(&system)?;
    Ok((system, next))
}

/// By name without boot counters.
fn is_called(entry: &EntryName, name: &str) -> bool {
    entry.to_string().split('+').next() == Some(name)
}

fn purpose(way: Way) -> Purpose {
    match way {
        Way::Dm => Purpose::Dm,
        Way::Fs => Purpose::Fs,
    }
}

/// In the order in which to try them. An option of the command line comes first and is not the last word, so that it
/// cannot stop a boot: every way checks everything.
fn ways(settings: &Settings, verity: Verity) -> Vec<Way> {
    let mut ways = match (settings.boot.verity, verity) {
        (VerityWay::Dm, _) | (VerityWay::Auto, Verity::Off) => vec![Way::Dm],
        (VerityWay::Fs, _) => vec![Way::Fs],
        (VerityWay::Auto, Verity::On) => vec![Way::Fs, Way::Dm],
    };
    if settings.overrides.verity.is_some() {
        ways.extend(
            [Way::Dm, Way::Fs].into_iter().filter(|way| !ways.contains(way)).collect::<Vec<_>>(),
        );
    }
    ways
}
