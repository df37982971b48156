//! The store on an ext4 of its own: what is durable, a full disk, a failing disk. Needs root.

mod release;
mod scratch;

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::Path;

use pintle_update::reset::{self, FactoryReset};
use pintle_update::{
    BadSeal, BadSeals, Begun, Emptied, EntryName, Error, Installed, Mark, Room, Store, Wanted,
    select,
};
use pintle_verify::Digest;
use release::Release;
use scratch::{Ext4, run, text};

fn store(disk: &Ext4) -> Store {
    let store = Store::open(disk.root().as_fd()).unwrap();
    store.prepare().unwrap();
    store
}

fn entry(name: &str) -> EntryName {
    name.parse().unwrap()
}

fn tree(root: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for directory in ["images", "trust", "data", "incoming"] {
        let Ok(entries) = fs::read_dir(root.join(directory)) else { continue };
        let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
        names.extend(entries.map(|entry| format!("{directory}/{}", name(entry.unwrap()))));
    }
    names.sort();
    names
}

/// What is no directory, however deep, in order.
fn files_below(root: &Path, below: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join(below)).unwrap().map(Result::unwrap) {
        let path = format!("{below}/{}", entry.file_name().to_str().unwrap());
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files_below(root, &path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

/// What is there now is there after a cut.
fn assert_durable(disk: &Ext4, what: &str) {
    assert_eq!(tree(&disk.after_a_cut().path()), tree(&disk.path()), "after {what}");
}

#[test]
fn every_change_is_durable_when_its_function_returns() {
    let disk = Ext4::new(16);
    let store = store(&disk);
    assert_durable(&disk, "preparing");
    let release = Release::new(42, "1.4.0", 200);
    let (files, seal) = release.open();
    store.install(&files, &seal, BadSeals::Refuse).unwrap();
    assert_durable(&disk, "installing");
    let first = store.count_try(&entry("42_1.4.0+3-0")).unwrap();
    assert_durable(&disk, "counting");
    store.mark_running(&first).unwrap();
    assert_durable(&disk, "the first mark");
    let good = store.bless(&first, &seal).unwrap();
    assert_durable(&disk, "blessing");
    store.mark_settled().unwrap();
    assert_durable(&disk, "settling");
    let trial = store.demote(&good).unwrap();
    assert_durable(&disk, "demoting");
    store.remember_bad(BadSeal { sequence: 42, root_hash: Digest::of(b"") }).unwrap();
    assert_durable(&disk, "remembering");
    store.reject(&trial).unwrap();
    assert_durable(&disk, "rejecting");
    store.mark_clean().unwrap();
    assert_durable(&disk, "shutting down");
    store.discard(&store.surplus(0, &[]).unwrap()).unwrap();
    assert_durable(&disk, "pruning");
    assert_eq!(tree(&disk.path())[1..], ["trust/clean"]);
}

#[test]
fn an_installed_entry_is_whole_after_a_cut() {
    let disk = Ext4::new(16);
    let release = Release::new(42, "1.4.0", 1000);
    let (files, seal) = release.open();
    store(&disk).install(&files, &seal, BadSeals::Refuse).unwrap();
    let left = disk.after_a_cut();
    for file in ["root.img", "root.tree", "seal"] {
        let kept = fs::read(left.path().join("images/42_1.4.0+3-0").join(file)).unwrap();
        assert!(kept == fs::read(release.path().join(file)).unwrap(), "{file} differs");
    }
}

#[test]
fn a_new_seal_is_whole_after_a_cut() {
    let disk = Ext4::new(16);
    let store = store(&disk);
    let mut release = Release::new(42, "1.4.0", 1);
    let (files, seal) = release.open();
    store.install(&files, &seal, BadSeals::Refuse).unwrap();
    release.reseal(|seal| seal.created += 1);
    let (files, seal) = release.open();
    let name = entry("42_1.4.0+3-0");
    let installed = store.install(&files, &seal, BadSeals::Refuse).unwrap();
    assert_eq!(installed, Installed::Resealed(name.clone()));
    let left = disk.after_a_cut();
    let kept = Store::open(left.root().as_fd()).unwrap().open_entry(&name).unwrap().seal;
    assert_eq!(kept, files.seal);
}

#[test]
fn a_factory_reset_is_wished_for_and_done_durably() {
    let disk = Ext4::new(16);
    fs::create_dir_all(disk.path().join("data/etc")).unwrap();
    run("sync", &["-f", text(&disk.path())]);
    reset::request(disk.root().as_fd(), &[]).unwrap();
    assert_durable(&disk, "wishing");
    assert_eq!(reset::carry_out_pending(disk.root().as_fd()).unwrap(), FactoryReset::Done);
    assert_durable(&disk, "the reset");
    assert!(disk.path().join("data").is_dir());
    assert_eq!(tree(&disk.path()), [""; 0]);
    assert_eq!(reset::carry_out_pending(disk.root().as_fd()).unwrap(), FactoryReset::NotWanted);
}

#[test]
fn a_factory_reset_keeps_what_it_is_told_to_and_nothing_else() {
    let disk = Ext4::new(16);
    let data = disk.path().join("data");
    for directory in ["etc/upper/ssh/keys", "etc/upper/net", "etc/work", "var/lib/app"] {
        fs::create_dir_all(data.join(directory)).unwrap();
    }
    let files = ["etc/upper/ssh/keys/host", "etc/upper/net/x", "var/lib/app/db", "var/lib/other"];
    files.iter().for_each(|file| fs::write(data.join(file), file).unwrap());
    symlink("nowhere", data.join("etc/upper/ssh/link")).unwrap();
    run("chown", &["-h", "7:8", text(&data.join("etc/upper/ssh"))]);
    run("chmod", &["750", text(&data.join("etc/upper/ssh"))]);
    run("mknod", &[text(&data.join("etc/upper/ssh/gone")), "c", "0", "0"]);
    let marked = data.join("etc/upper/ssh/keys");
    rustix::fs::setxattr(&marked, "trusted.mark", b"yes", rustix::fs::XattrFlags::empty()).unwrap();
    run("sync", &["-f", text(&disk.path())]);
    let kept = ["/etc/ssh", "/etc/ssh/keys", "/var/lib/app/db", "/var/none"];
    let kept = kept.map(|path| path.parse().unwrap());
    reset::request(disk.root().as_fd(), &kept).unwrap();
    assert_durable(&disk, "wishing");
    assert_eq!(reset::carry_out_pending(disk.root().as_fd()).unwrap(), FactoryReset::Done);
    assert_durable(&disk, "the reset");
    let store = store(&disk);
    assert_eq!(store.empty_trash(1000).unwrap(), Emptied::Whole);
    let kept =
        ["etc/upper/ssh/gone", "etc/upper/ssh/keys/host", "etc/upper/ssh/link", "var/lib/app/db"];
    assert_eq!(files_below(&disk.path(), "data"), kept.map(|path| format!("data/{path}")));
    assert_eq!(fs::read(data.join("var/lib/app/db")).unwrap(), b"var/lib/app/db");
    let ssh = rustix::fs::stat(data.join("etc/upper/ssh")).unwrap();
    assert_eq!((ssh.st_uid, ssh.st_gid, ssh.st_mode & 0o7777), (7, 8, 0o750));
    let mut mark = [0; 8];
    let length = rustix::fs::getxattr(&marked, "trusted.mark", &mut mark[..]).unwrap();
    assert_eq!(&mark[..length], b"yes");
}

#[test]
fn a_wish_for_a_factory_reset_can_be_taken_back() {
    let disk = Ext4::new(16);
    fs::create_dir_all(disk.path().join("data/etc")).unwrap();
    reset::cancel(disk.root().as_fd()).unwrap();
    reset::request(disk.root().as_fd(), &[]).unwrap();
    reset::cancel(disk.root().as_fd()).unwrap();
    assert_eq!(reset::carry_out_pending(disk.root().as_fd()).unwrap(), FactoryReset::NotWanted);
    assert_eq!(tree(&disk.path()), ["data/etc"]);
}

/// Leaves not one block, nor room for a name that needs one.
fn fill(directory: &Path) {
    let mut block = 1 << 20;
    let mut number = 0;
    while block > 0 {
        let file = fs::File::create(directory.join(format!("fill{number}")));
        let full = file.and_then(|file| {
            use std::io::Write;
            (&file).write_all(&vec![1; block])?;
            file.sync_all()
        });
        number += 1;
        if full.is_err() {
            block /= 2;
        }
    }
}

#[test]
fn a_full_disk_still_counts_blesses_demotes_remembers_and_prunes() {
    let disk = Ext4::new(8);
    let store = store(&disk);
    for (sequence, version) in [(41, "1.3.0"), (42, "1.4.0")] {
        let (files, seal) = Release::new(sequence, version, 200).open();
        store.install(&files, &seal, BadSeals::Refuse).unwrap();
    }
    fs::create_dir(disk.path().join("data")).unwrap();
    fill(&disk.path().join("data"));
    let (_, seal) = Release::new(42, "1.4.0", 200).open();
    let counted = store.count_try(&entry("42_1.4.0+3-0")).unwrap();
    store.mark_running(&counted).unwrap();
    let good = store.bless(&counted, &seal).unwrap();
    store.demote(&good).unwrap();
    store.mark_clean().unwrap();
    store.remember_bad(BadSeal { sequence: 41, root_hash: Digest::of(b"") }).unwrap();
    let surplus = store.surplus(0, &[42]).unwrap();
    assert_eq!(surplus, [entry("41_1.3.0+3-0")]);
    store.discard(&surplus).unwrap();
    assert_eq!(store.empty_trash(100).unwrap(), Emptied::Whole);
    let entries = store.entries().unwrap().entries;
    assert_eq!(select(&entries, 0), [entry("42_1.4.0+3-0")]);
}

#[test]
fn a_full_disk_can_be_reset() {
    let disk = Ext4::new(8);
    store(&disk);
    fs::create_dir_all(disk.path().join("data/var")).unwrap();
    fill(&disk.path().join("data/var"));
    reset::request(disk.root().as_fd(), &[]).unwrap();
    assert_eq!(reset::carry_out_pending(disk.root().as_fd()).unwrap(), FactoryReset::Done);
    let store = Store::open(disk.root().as_fd()).unwrap();
    assert_eq!(store.empty_trash(usize::MAX - 1).unwrap(), Emptied::Whole);
    assert!(disk.path().join("data").is_dir());
}

#[test]
fn too_little_space_is_told_before_anything_is_written() {
    let disk = Ext4::new(8);
    let store = store(&disk);
    let (files, seal) = Release::new(42, "1.4.0", 2000).open();
    let before = rustix::fs::statvfs(disk.path()).unwrap().f_bfree;
    let error = store.install(&files, &seal, BadSeals::Refuse).unwrap_err();
    assert!(matches!(error, Error::Space { .. }), "{error}");
    assert_eq!(rustix::fs::statvfs(disk.path()).unwrap().f_bfree, before);
}

#[test]
fn what_is_in_the_trash_makes_room() {
    let disk = Ext4::new(8);
    let store = store(&disk);
    fs::create_dir(disk.path().join("trash/old")).unwrap();
    fill(&disk.path().join("trash/old"));
    let (files, seal) = Release::new(42, "1.4.0", 600).open();
    store.install(&files, &seal, BadSeals::Refuse).unwrap();
}

#[test]
fn entries_are_given_up_for_a_release_that_fits_then_and_for_no_other() {
    let disk = Ext4::new(16);
    let store = store(&disk);
    for (sequence, blocks) in [(41, 1000), (42, 1000)] {
        let (files, seal) = Release::new(sequence, "1.4.0", blocks).open();
        let Installed::New(entry) = store.install(&files, &seal, BadSeals::Refuse).unwrap() else {
            panic!("{sequence} was there already");
        };
        store.bless(&store.count_try(&entry).unwrap(), &seal).unwrap();
    }
    let begin = |blocks| {
        let (files, seal) = Release::new(43, "1.4.0", blocks).open();
        let (origin, bad) = (None, BadSeals::Refuse);
        let wanted = Wanted { seal_file: &files.seal, seal: &seal, origin, bad, delta: 0 };
        store.begin(&wanted, &Room { keep: 2, protected: &[42] }).map(drop)
    };
    let names = || fs::read_dir(disk.path().join("images")).unwrap().count();
    assert!(matches!(begin(3000).unwrap_err(), Error::Space { .. }));
    assert_eq!(names(), 2, "what was given up does not suffice");
    begin(1500).unwrap();
    assert_eq!(names(), 1);
}

#[test]
fn what_is_there_of_a_delta_takes_no_more_space() {
    let disk = Ext4::new(16);
    let store = store(&disk);
    let (files, seal) = Release::new(42, "1.4.0", 100).open();
    let begin = || {
        let (origin, bad, delta) = (None, BadSeals::Refuse, 6 << 20);
        let wanted = Wanted { seal_file: &files.seal, seal: &seal, origin, bad, delta };
        store.begin(&wanted, &Room { keep: 2, protected: &[] })
    };
    let Begun::Fetch(incoming) = begin().unwrap() else { panic!("it is here already") };
    rustix::fs::fallocate(incoming.delta(), rustix::fs::FallocateFlags::empty(), 0, 6 << 20)
        .unwrap();
    drop(incoming);
    leave_free(&disk.path(), 1 << 20);
    begin().unwrap();
}

#[test]
fn the_space_that_is_asked_for_suffices() {
    for blocks in [1, 100, 1000] {
        let disk = Ext4::new(16);
        let store = store(&disk);
        let (files, seal) = Release::new(42, "1.4.0", blocks).open();
        let needed = pintle_update::install::space(&seal, 4096).unwrap();
        leave_free(&disk.path(), needed.next_multiple_of(4096));
        store.install(&files, &seal, BadSeals::Refuse).unwrap();
    }
}

fn leave_free(root: &Path, bytes: u64) {
    let stat = rustix::fs::statvfs(root).unwrap();
    let surplus = (stat.f_bavail * stat.f_frsize).checked_sub(bytes).unwrap();
    let file = fs::File::create(root.join("surplus")).unwrap();
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, surplus).unwrap();
    file.sync_all().unwrap();
}

#[test]
fn trash_is_emptied_however_deep_and_bit_by_bit() {
    let disk = Ext4::new(64);
    let store = store(&disk);
    make_deep(&disk.path().join("trash"), 3000);
    let mut rounds = 0;
    while store.empty_trash(1000).unwrap() == Emptied::InPart {
        rounds += 1;
    }
    assert_eq!(fs::read_dir(disk.path().join("trash")).unwrap().count(), 0);
    assert!((3..20).contains(&rounds), "{rounds} rounds");
}

/// A chain of directories, each with a file and another directory in it; made from within, since
/// no path is that long.
fn make_deep(top: &Path, depth: usize) {
    let mut here =
        rustix::fs::open(top, rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
    for _ in 0..depth {
        rustix::fs::mkdirat(&here, "down", rustix::fs::Mode::RWXU).unwrap();
        let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY;
        here = rustix::fs::openat(&here, "down", flags, rustix::fs::Mode::empty()).unwrap();
        rustix::fs::mkdirat(&here, "beside", rustix::fs::Mode::RWXU).unwrap();
    }
}

#[test]
fn what_is_emptied_is_gone_from_its_place_after_a_cut() {
    let disk = Ext4::new(16);
    let store = store(&disk);
    let (files, seal) = Release::new(42, "1.4.0", 10).open();
    store.install(&files, &seal, BadSeals::Refuse).unwrap();
    // As if the process had died before its sync.
    let images = disk.path().join("images/42_1.4.0+3-0");
    fs::rename(images, disk.path().join("trash/old")).unwrap();
    assert_eq!(store.empty_trash(1).unwrap(), Emptied::InPart);
    assert_durable(&disk, "emptying a part");
}

#[test]
fn what_is_immutable_is_emptied_too() {
    let disk = Ext4::new(8);
    let store = store(&disk);
    let old = disk.path().join("trash/old/deep");
    fs::create_dir_all(old.join("deeper")).unwrap();
    fs::write(old.join("deeper/file"), "").unwrap();
    run("chattr", &["-R", "+i", text(&disk.path().join("trash/old"))]);
    assert_eq!(store.empty_trash(100).unwrap(), Emptied::Whole);
}

#[test]
fn nothing_is_written_after_a_sync_that_failed() {
    let disk = Ext4::on_a_disk_that_lies(64, 12);
    let store = store(&disk);
    store.mark_clean().unwrap();
    let (files, seal) = Release::new(42, "1.4.0", 4000).open();
    let error = store.install(&files, &seal, BadSeals::Refuse).unwrap_err();
    assert!(error.to_string().starts_with("cannot sync incoming/42/root.img: "), "{error}");
    assert_eq!(store.mark_running(&entry("41_1.3.0")), Err(Error::Abandoned));
    assert_eq!(store.trust().unwrap().mark(), Mark::Clean);
}
