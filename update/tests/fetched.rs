//! Releases that come in pieces, over several attempts.

mod release;

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use pintle_update::scrub::{Scrub, Scrubbed};
use pintle_update::{
    BadSeal, BadSeals, Begun, EntryName, Error, Hold, Incoming, Installed, Refused, Room, Store,
    Wanted,
};
use release::Release;
use tempfile::TempDir;

struct Machine {
    directory: TempDir,
    store: Store,
}

const ROOM: Room<'static> = Room { keep: 2, protected: &[] };

impl Machine {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(File::open(directory.path()).unwrap().as_fd()).unwrap();
        store.prepare().unwrap();
        Self { directory, store }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    fn names(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(directory)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into()).collect();
        names.sort();
        names
    }

    fn begin(&self, release: &Release) -> Result<Begun, Error> {
        let (files, seal) = release.open();
        let (origin, bad) = (Some("registry.example.com/os@sha256:1"), BadSeals::Refuse);
        let wanted = Wanted { seal_file: &files.seal, seal: &seal, origin, bad, delta: 0 };
        self.store.begin(&wanted, &ROOM)
    }

    fn fetch(&self, release: &Release) -> Incoming {
        match self.begin(release).unwrap() {
            Begun::Fetch(incoming) => incoming,
            Begun::Here(installed) => panic!("{installed:?}"),
        }
    }
}

/// What a worker does.
fn fill(incoming: &Incoming, release: &Release) {
    for (file, name) in [(incoming.image(), "root.img"), (incoming.tree(), "root.tree")] {
        let file = File::from(file.try_clone().unwrap());
        file.write_all_at(&fs::read(release.path().join(name)).unwrap(), 0).unwrap();
    }
    File::from(incoming.delta().try_clone().unwrap()).write_all_at(b"delta", 0).unwrap();
}

fn entry(name: &str) -> EntryName {
    name.parse().unwrap()
}

#[test]
fn what_was_fetched_is_an_entry_with_its_origin_and_no_delta() {
    let (machine, release) = (Machine::new(), Release::new(42, "1.4.0", 300));
    let incoming = machine.fetch(&release);
    fill(&incoming, &release);
    let installed = machine.store.finish(incoming, &release.open().1).unwrap();
    assert_eq!(installed, Installed::New(entry("42_1.4.0+3-0")));
    assert_eq!(machine.names("images/42_1.4.0+3-0"), ["origin", "root.img", "root.tree", "seal"]);
    let files = machine.store.open_entry(&entry("42_1.4.0+3-0")).unwrap();
    assert_eq!(files.origin.as_deref(), Some("registry.example.com/os@sha256:1"));
    assert_eq!(machine.names("incoming"), [""; 0]);
}

#[test]
fn the_next_attempt_finds_what_the_last_one_left() {
    let (machine, release) = (Machine::new(), Release::new(42, "1.4.0", 300));
    fill(&machine.fetch(&release), &release);
    let files = machine.fetch(&release);
    let mut found = vec![0; 300 * 4096];
    File::from(files.image().try_clone().unwrap()).read_exact_at(&mut found, 0).unwrap();
    assert!(found == fs::read(release.path().join("root.img")).unwrap());
    // No delta is wanted, and what is there of one would only take space.
    assert_eq!(File::from(files.delta().try_clone().unwrap()).metadata().unwrap().len(), 0);
}

#[test]
fn what_another_release_left_is_cleared_away() {
    let machine = Machine::new();
    drop(machine.fetch(&Release::new(41, "1.3.0", 10)));
    drop(machine.fetch(&Release::new(42, "1.4.0", 10)));
    assert_eq!(machine.names("incoming"), ["42"]);
    assert_eq!(machine.names("trash"), ["41~0"]);
}

#[test]
fn a_wrong_block_makes_no_entry_and_is_not_built_upon() {
    for name in ["root.img", "root.tree"] {
        let (machine, release) = (Machine::new(), Release::new(42, "1.4.0", 300));
        let incoming = machine.fetch(&release);
        fill(&incoming, &release);
        let file = File::options().write(true).open(machine.path("incoming/42").join(name));
        file.unwrap().write_all_at(&[1, 2, 3], 8000).unwrap();
        machine.store.finish(incoming, &release.open().1).unwrap_err();
        assert_eq!(machine.names("images"), [""; 0]);
        assert_eq!(machine.names("incoming"), [""; 0], "{name}");
    }
}

#[test]
fn an_attempt_that_was_cut_while_it_finished_is_finished_by_the_next() {
    let (machine, release) = (Machine::new(), Release::new(42, "1.4.0", 300));
    let incoming = machine.fetch(&release);
    fill(&incoming, &release);
    fs::write(machine.path("incoming/42/seal"), "half a s").unwrap();
    fs::write(machine.path("incoming/42/origin"), "regis").unwrap();
    machine.store.finish(incoming, &release.open().1).unwrap();
    assert_eq!(machine.names("images"), ["42_1.4.0+3-0"]);
}

#[test]
fn one_release_at_a_time() {
    let (machine, release) = (Machine::new(), Release::new(42, "1.4.0", 10));
    let _held = machine.fetch(&release);
    assert_eq!(machine.begin(&release).unwrap_err(), Error::Refused(Refused::Busy));
}

#[test]
fn an_image_that_is_here_is_not_fetched_again_and_takes_a_newer_seal() {
    let (machine, mut release) = (Machine::new(), Release::new(42, "1.4.0", 300));
    let incoming = machine.fetch(&release);
    fill(&incoming, &release);
    machine.store.finish(incoming, &release.open().1).unwrap();
    let here = |machine: &Machine, release: &Release| match machine.begin(release).unwrap() {
        Begun::Here(installed) => installed,
        Begun::Fetch(incoming) => panic!("{incoming:?}"),
    };
    assert_eq!(here(&machine, &release), Installed::Already(entry("42_1.4.0+3-0")));
    release.reseal(|seal| seal.created += 1);
    assert_eq!(here(&machine, &release), Installed::Resealed(entry("42_1.4.0+3-0")));
    assert_eq!(here(&machine, &release), Installed::Already(entry("42_1.4.0+3-0")));
}

#[test]
fn a_damaged_entry_is_mended_under_its_name() {
    let (machine, release) = (Machine::new(), Release::new(42, "1.4.0", 300));
    let incoming = machine.fetch(&release);
    fill(&incoming, &release);
    machine.store.finish(incoming, &release.open().1).unwrap();
    let name = entry("42_1.4.0+3-0");
    let image = machine.path("images/42_1.4.0+3-0/root.img");
    File::options().write(true).open(&image).unwrap().write_all_at(&[0; 9], 4095).unwrap();
    let (files, seal) = release.open();
    let bad = BadSeals::Install;
    let wanted = Wanted { seal_file: &files.seal, seal: &seal, origin: None, bad, delta: 0 };
    let incoming = machine.store.begin_repair(&name, &wanted, &ROOM).unwrap();
    fill(&incoming, &release);
    assert_eq!(machine.store.finish(incoming, &seal).unwrap(), Installed::Mended(name.clone()));
    assert!(fs::read(image).unwrap() == fs::read(release.path().join("root.img")).unwrap());
    let origin = machine.store.open_entry(&name).unwrap().origin;
    assert_eq!(origin.as_deref(), Some("registry.example.com/os@sha256:1"));
    assert_eq!(machine.names("incoming"), [""; 0]);
}

#[test]
fn a_scrub_finds_each_damaged_block() {
    let (machine, release) = (Machine::new(), Release::new(42, "1.4.0", 300));
    let (files, seal) = release.open();
    machine.store.install(&files, &seal, BadSeals::Refuse).unwrap();
    let image = machine.path("images/42_1.4.0+3-0/root.img");
    let scrub = || {
        let files = machine.store.open_entry(&entry("42_1.4.0+3-0")).unwrap();
        let mut scrub = Scrub::begin(files, seal.clone()).unwrap();
        std::iter::from_fn(|| Some(scrub.step().unwrap()))
            .find_map(|scrubbed| match scrubbed {
                Scrubbed::Whole(damaged) => Some(damaged),
                Scrubbed::InPart => None,
            })
            .unwrap()
    };
    assert_eq!(scrub(), [0; 0]);
    let file = File::options().write(true).open(&image).unwrap();
    for block in [0, 63, 64, 299] {
        file.write_all_at(&[0; 3], block * 4096 + 5).unwrap();
    }
    assert_eq!(scrub(), [0, 63, 64, 299]);
    file.set_len(299 * 4096).unwrap();
    assert_eq!(scrub(), [0, 63, 64, 299]);
}

#[test]
fn what_turned_out_bad_is_not_begun() {
    let (machine, release) = (Machine::new(), Release::new(42, "1.4.0", 10));
    machine.store.remember_bad(BadSeal::of(&release.open().1)).unwrap();
    assert_eq!(machine.begin(&release).unwrap_err(), Error::Refused(Refused::RememberedBad));
    assert_eq!(machine.names("incoming"), [""; 0]);
}

#[test]
fn what_the_operator_says_is_kept_in_names() {
    let machine = Machine::new();
    let (store, name) = (&machine.store, entry("42_1.4.0"));
    store.pin(&name).unwrap();
    store.note_unreached(&name).unwrap();
    store.set_hold(Hold::On).unwrap();
    store.set_hold(Hold::On).unwrap();
    assert_eq!(machine.names("trust"), ["hold", "pinned-42", "unreached-42"]);
    let trust = store.trust().unwrap();
    assert!(trust.pinned.contains(&42) && trust.unreached.contains(&42) && trust.hold == Hold::On);
    store.unpin(&name).unwrap();
    store.forget_unreached(&name).unwrap();
    store.set_hold(Hold::Off).unwrap();
    assert_eq!(machine.names("trust"), [""; 0]);
}
