//! What is on the state partition is frozen: this pintle writes the names and bytes that stand in `golden/state.txt`, reads them, and
//! leaves alone what a newer one may have written beside them. `docs/formats/state.md` says what each means.
//!
//! `PINTLE_BLESS=1 cargo test` writes the golden file anew. Where that changes a line, the pintle before cannot read what this one
//! writes: see *Versions* in the document.

mod golden_file;
mod release;

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use golden_file::compare;
use pintle_update::{
    BadSeal, BadSeals, Begun, EntryName, Hold, KeptPath, Mark, Room, Store, Trust, Wanted,
    reset::{self, FactoryReset},
};
use pintle_verify::Digest;
use release::Release;
use tempfile::TempDir;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/state.txt");

/// Names that no pintle has written yet, as a newer one might.
const NEWER: [&str; 15] = [
    "trust/floor-41-2",
    "trust/floor2-99",
    "trust/bad-42",
    "trust/bad-42-0123-x",
    "trust/pinned-42-until-43",
    "trust/shipped-41-x",
    "trust/unreached-42-3",
    "trust/hold-2",
    "trust/clean-2",
    "trust/running-42-1-0-7",
    "trust/key-7",
    "images/44_1.6.0+3-0-1",
    "images/44_1.6.0+12-0",
    "keys/1",
    "machine-id-2",
];

#[test]
fn what_is_written() {
    let machine = Machine::new();
    machine.live();
    compare("state", &machine.shown());
}

/// What the golden file shows is the machine's, and not what the test made of it.
#[test]
fn what_is_read() {
    let machine = Machine::of_golden();
    let store = machine.store();
    let trust = store.trust().unwrap();
    let expected = Trust {
        floor: 41,
        bad: vec![BadSeal { sequence: 40, root_hash: Digest::of(b"") }],
        pinned: [41].into(),
        shipped: Some(41),
        unreached: [39].into(),
        hold: Hold::On,
        marks: vec![Mark::Running { sequence: 42, boots: 0, lapses: 0 }],
        unknown: Vec::new(),
    };
    assert_eq!(trust, expected);
    let listing = store.entries().unwrap();
    assert_eq!(listing.entries, ["41_1.3.0+3-0", "42_1.4.0"].map(entry));
    let origin = store.open_entry(&entry("42_1.4.0")).unwrap().origin;
    assert_eq!(origin.as_deref(), Some(ORIGIN));
}

#[test]
fn a_wish_for_a_reset_is_read() {
    let machine = Machine::of_golden();
    for file in ["data/etc/upper/ssh", "data/var/lib/app", "data/var/lost"] {
        machine.write(file, "");
    }
    assert_eq!(reset::carry_out_pending(machine.root().as_fd()).unwrap(), FactoryReset::Done);
    let there = ["data/etc/upper/ssh", "data/var/lib/app", "data/var/lost", "data/factory-reset"];
    let there = there.map(|path| machine.directory.path().join(path).exists());
    assert_eq!(there, [true, true, false, false]);
}

/// Nothing follows from them, and whatever is done they are still there afterwards.
#[test]
fn what_a_newer_pintle_wrote_is_left_alone() {
    let (plain, newer) = (Machine::of_golden(), Machine::of_golden());
    for name in NEWER {
        newer.write(name, "of a newer pintle");
    }
    let trust = newer.store().trust().unwrap();
    assert_eq!(trust.unknown.len(), 11);
    assert_eq!(Trust { unknown: Vec::new(), ..trust }, plain.store().trust().unwrap());
    let entries = |machine: &Machine| machine.store().entries().unwrap().entries;
    assert_eq!(entries(&newer), entries(&plain));
    for machine in [&plain, &newer] {
        machine.live_on();
        reset::carry_out_pending(machine.root().as_fd()).unwrap();
    }
    let shown = newer.shown();
    let (left, rest): (Vec<_>, Vec<_>) =
        shown.lines().partition(|line| NEWER.contains(&line.split(" = ").next().unwrap()));
    assert_eq!(left.len(), NEWER.len(), "{shown}");
    let of_newer = |line: &&str| !line.starts_with("keys");
    assert_eq!(rest.into_iter().filter(of_newer).collect::<Vec<_>>(), lines(&plain.shown()));
}

/// A file more in an entry keeps it from nothing.
#[test]
fn an_entry_may_have_more_files() {
    let machine = Machine::new();
    machine.live();
    machine.write("images/42_1.4.0/kernel.sig", "of a newer pintle");
    machine.store().open_entry(&entry("42_1.4.0")).unwrap();
    machine.store().demote(&entry("42_1.4.0")).unwrap();
    assert!(machine.directory.path().join("images/42_1.4.0+3-0/kernel.sig").exists());
}

const ORIGIN: &str = "registry.example.com/os@sha256:\
    e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

struct Machine {
    directory: TempDir,
}

impl Machine {
    fn new() -> Self {
        let this = Self { directory: tempfile::tempdir().unwrap() };
        this.store().prepare().unwrap();
        this
    }

    /// As the golden file shows it.
    fn of_golden() -> Self {
        let this = Self { directory: tempfile::tempdir().unwrap() };
        for line in fs::read_to_string(GOLDEN).unwrap().lines() {
            match line.split_once(" = ") {
                Some((path, content)) => {
                    this.write(path, &content.replace(EMPTY, "").replace('|', "\n"))
                }
                None => fs::create_dir_all(this.directory.path().join(line)).unwrap(),
            }
        }
        this
    }

    fn root(&self) -> fs::File {
        fs::File::open(self.directory.path()).unwrap()
    }

    fn store(&self) -> Store {
        Store::open(self.root().as_fd()).unwrap()
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Does all that leaves something behind.
    fn live(&self) {
        let store = self.store();
        install(&store, &release(41, "1.3.0"));
        let newest = release(42, "1.4.0");
        fetch(&store, &newest);
        let counted = store.count_try(&entry("42_1.4.0+3-0")).unwrap();
        store.mark_running(&counted).unwrap();
        store.bless(&counted, &newest.open().1).unwrap();
        store.ship(&entry("41_1.3.0+3-0")).unwrap();
        store.pin(&entry("41_1.3.0+3-0")).unwrap();
        store.note_unreached(&entry("39_1.1.0+0-3")).unwrap();
        store.remember_bad(BadSeal { sequence: 40, root_hash: Digest::of(b"") }).unwrap();
        store.set_hold(Hold::On).unwrap();
        fs::create_dir(self.directory.path().join("data")).unwrap();
        let kept = ["/etc/ssh", "/var/lib/app"].map(|path| path.parse::<KeptPath>().unwrap());
        reset::request(self.root().as_fd(), &kept).unwrap();
    }

    /// Does all that takes something away.
    fn live_on(&self) {
        let store = self.store();
        store.demote(&entry("42_1.4.0")).unwrap();
        store.unpin(&entry("41_1.3.0")).unwrap();
        store.forget_unreached(&entry("39_1.1.0")).unwrap();
        store.set_hold(Hold::Off).unwrap();
        store.mark_clean().unwrap();
        store.discard(&store.surplus(1, &[]).unwrap()).unwrap();
        store.empty_trash(1000).unwrap();
    }

    /// Every directory, every file with its bytes; what is longer than a line, by its length.
    fn shown(&self) -> String {
        let mut lines = Vec::new();
        show(self.directory.path(), "", &mut lines);
        lines.sort();
        lines.join("\n") + "\n"
    }
}

fn release(sequence: u64, version: &str) -> Release {
    let mut release = Release::new(sequence, version, 2);
    release.reseal(|seal| seal.floor = 41);
    release
}

fn install(store: &Store, release: &Release) {
    let (files, seal) = release.open();
    store.install(&files, &seal, BadSeals::Refuse).unwrap();
}

fn fetch(store: &Store, release: &Release) {
    let (files, seal) = release.open();
    let wanted = Wanted {
        seal_file: &files.seal,
        seal: &seal,
        origin: Some(ORIGIN),
        bad: BadSeals::Refuse,
        delta: 0,
    };
    let Begun::Fetch(incoming) = store.begin(&wanted, &Room { keep: 2, protected: &[] }).unwrap()
    else {
        panic!("it is here already")
    };
    for (file, to) in [("root.img", incoming.image()), ("root.tree", incoming.tree())] {
        let bytes = fs::read(release.path().join(file)).unwrap();
        fs::File::from(to.try_clone().unwrap()).write_all_at(&bytes, 0).unwrap();
    }
    store.finish(incoming, &seal).unwrap();
}

fn show(root: &Path, below: &str, lines: &mut Vec<String>) {
    for found in fs::read_dir(root.join(below)).unwrap() {
        let found = found.unwrap();
        let path = Path::new(below).join(found.file_name());
        let path = path.to_str().unwrap();
        if found.file_type().unwrap().is_dir() {
            lines.push(path.to_owned());
            show(root, path, lines);
        } else {
            let bytes = fs::read(found.path()).unwrap();
            lines.push(format!("{path} = {}", content(&bytes)));
        }
    }
}

const EMPTY: &str = "(empty)";

fn content(bytes: &[u8]) -> String {
    const SHOWN: usize = 120;
    match str::from_utf8(bytes) {
        Ok("") => EMPTY.to_owned(),
        Ok(text) if text.len() <= SHOWN => text.replace('\n', "|"),
        _ => format!("({} bytes)", bytes.len()),
    }
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

fn entry(name: &str) -> EntryName {
    name.parse().unwrap()
}
