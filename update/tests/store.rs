//! The store on a real file system.

mod release;

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use pintle_update::{
    BadSeal, BadSeals, Emptied, EntryName, Error, Installed, Mark, Refused, Reset, Store, Tries,
    select,
};
use pintle_verify::Percent;
use release::{Release, believe};
use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

/// A store in a temporary directory.
struct Machine {
    directory: TempDir,
    store: Store,
}

impl Machine {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = fs::File::open(directory.path()).unwrap();
        let store = Store::open(root.as_fd()).unwrap();
        store.prepare().unwrap();
        Self { directory, store }
    }

    /// With empty entries of these names.
    fn with(names: &[&str]) -> Self {
        let machine = Self::new();
        names.iter().for_each(|name| fs::create_dir(machine.path("images").join(name)).unwrap());
        machine
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

    fn install(&self, release: &Release) -> Result<Installed, Error> {
        let (files, seal) = release.open();
        self.store.install(&files, &seal, BadSeals::Refuse)
    }

    fn next(&self) -> EntryName {
        let entries = self.store.entries().unwrap().entries;
        select(&entries, self.store.floor().unwrap()).remove(0)
    }
}

fn entry(name: &str) -> EntryName {
    name.parse().unwrap()
}

#[test]
fn a_release_is_installed_tried_blessed_and_replaced() {
    let machine = Machine::with(&["41_1.3.0"]);
    let mut release = Release::new(42, "1.4.0", 300);
    release.reseal(|seal| seal.floor = 40);
    assert_eq!(machine.install(&release).unwrap(), Installed::New(entry("42_1.4.0+3-0")));
    assert_eq!(machine.names("images"), ["41_1.3.0", "42_1.4.0+3-0"]);
    assert_eq!(machine.names("incoming"), [""; 0]);

    let counted = machine.store.count_try(&machine.next()).unwrap();
    assert_eq!(counted, entry("42_1.4.0+2-1"));
    let files = machine.store.open_entry(&counted).unwrap();
    let seal = believe(&files.seal);
    assert!(counted.agrees_with(&seal));
    assert_eq!(machine.store.bless(&counted, &seal).unwrap(), entry("42_1.4.0"));
    assert_eq!(machine.store.floor().unwrap(), 40);
    assert_eq!(machine.names("images"), ["41_1.3.0", "42_1.4.0"]);
}

#[test]
fn what_is_installed_is_what_was_released() {
    let machine = Machine::new();
    let release = Release::new(42, "1.4.0", 1000);
    machine.install(&release).unwrap();
    for file in ["root.img", "root.tree", "seal"] {
        let installed = fs::read(machine.path("images/42_1.4.0+3-0").join(file)).unwrap();
        assert!(installed == fs::read(release.path().join(file)).unwrap(), "{file} differs");
    }
}

#[test]
fn a_trial_has_its_tries_and_then_the_good_one_boots() {
    let machine = Machine::with(&["41_1.3.0", "42_1.4.0+3-0"]);
    let mut tried = Vec::new();
    for _ in 0..5 {
        let chosen = machine.next();
        machine.store.count_try(&chosen).unwrap();
        tried.push(chosen.to_string());
    }
    let expected = ["42_1.4.0+3-0", "42_1.4.0+2-1", "42_1.4.0+1-2", "41_1.3.0", "41_1.3.0"];
    assert_eq!(tried, expected);
    assert_eq!(machine.names("images"), ["41_1.3.0", "42_1.4.0+0-3"]);
}

#[test]
fn a_try_that_is_gone_cannot_be_counted() {
    let machine = Machine::with(&["42_1.4.0+2-1"]);
    let error = machine.store.count_try(&entry("42_1.4.0+3-0")).unwrap_err();
    let said = "cannot rename images/42_1.4.0+3-0: No such file or directory (os error 2)";
    assert_eq!(error.to_string(), said);
}

#[test]
fn a_good_entry_that_hangs_thrice_makes_way() {
    let machine = Machine::with(&["41_1.3.0", "42_1.4.0"]);
    let (_, seal) = Release::new(42, "1.4.0", 1).open();
    let mut judged = Vec::new();
    for _ in 0..4 {
        let change = machine.store.judge_last_run(Reset::Watchdog).unwrap();
        judged.push(change.map(|(_, new)| new.to_string()));
        let chosen = machine.store.count_try(&machine.next()).unwrap();
        machine.store.mark_running(&chosen).unwrap();
        // Healthy each time, and then it hangs.
        machine.store.bless(&chosen, &seal).unwrap();
    }
    let trial = Some("42_1.4.0+3-0".to_owned());
    assert_eq!(judged, [None, trial.clone(), trial, Some("42_1.4.0+0-3".to_owned())]);
    assert_eq!(machine.next(), entry("41_1.3.0"));
}

#[test]
fn three_boots_without_a_clean_shutdown_put_a_good_entry_on_trial() {
    let machine = Machine::with(&["42_1.4.0"]);
    for _ in 0..3 {
        assert_eq!(machine.store.judge_last_run(Reset::Other).unwrap(), None);
        machine.store.mark_running(&entry("42_1.4.0")).unwrap();
    }
    let expected = Some((entry("42_1.4.0"), entry("42_1.4.0+3-0")));
    assert_eq!(machine.store.judge_last_run(Reset::Other).unwrap(), expected);
}

#[test]
fn a_clean_shutdown_and_a_long_healthy_time_count_from_zero() {
    let machine = Machine::with(&["42_1.4.0"]);
    let good = entry("42_1.4.0");
    for forget in [Store::mark_clean, Store::mark_settled] {
        for _ in 0..3 {
            machine.store.mark_running(&good).unwrap();
        }
        forget(&machine.store).unwrap();
        assert_eq!(machine.store.judge_last_run(Reset::Other).unwrap(), None);
    }
    assert_eq!(machine.names("trust"), ["running-42-0-0"]);
}

#[test]
fn the_mark_of_one_entry_says_nothing_of_another() {
    let machine = Machine::with(&["41_1.3.0", "42_1.4.0"]);
    for _ in 0..3 {
        machine.store.mark_running(&entry("42_1.4.0")).unwrap();
    }
    let mark = machine.store.mark_running(&entry("41_1.3.0")).unwrap();
    assert_eq!(mark, Mark::Running { sequence: 41, boots: 1, lapses: 0 });
}

#[test]
fn a_demotion_uses_the_tries_it_was_given() {
    let machine = Machine::with(&["42_1.4.0"]);
    let store = machine.store.with_tries(Tries::try_from(5).unwrap());
    assert_eq!(store.demote(&entry("42_1.4.0")).unwrap(), entry("42_1.4.0+5-0"));
}

#[test]
fn a_rollback_says_no_to_what_is_not_known_to_boot() {
    let machine = Machine::with(&["40_a", "41_b+0-3", "42_c"]);
    fs::write(machine.path("trust/floor-41"), "").unwrap();
    for (target, cause) in [
        ("40_a", "it is below the floor"),
        ("41_b+0-3", "it is not good"),
        ("43_d", "it is not here"),
    ] {
        let error = machine.store.roll_back(&entry(target)).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot roll back to {target}: {cause}"));
    }
    assert_eq!(machine.names("images"), ["40_a", "41_b+0-3", "42_c"]);
}

#[test]
fn a_rollback_rejects_what_is_above() {
    let machine = Machine::with(&["40_a", "41_b", "42_c+2-1"]);
    machine.store.roll_back(&entry("40_a")).unwrap();
    assert_eq!(machine.names("images"), ["40_a", "41_b+0-0", "42_c+0-0"]);
    assert_eq!(machine.store.retry(&entry("42_c+0-0")).unwrap(), entry("42_c+3-0"));
    assert_eq!(machine.store.reject(&entry("42_c+3-0")).unwrap(), entry("42_c+0-0"));
}

#[test]
fn a_name_that_is_taken_is_cleared_first() {
    let machine = Machine::with(&["42_1.4.0", "42_1.4.0+3-0"]);
    fs::write(machine.path("images/42_1.4.0/mine"), "").unwrap();
    machine.store.demote(&entry("42_1.4.0")).unwrap();
    assert_eq!(machine.names("images"), ["42_1.4.0+3-0"]);
    assert_eq!(machine.names("images/42_1.4.0+3-0"), ["mine"]);
    assert_eq!(machine.names("trash"), ["42_1.4.0+3-0~0"]);
}

#[test]
fn a_bad_release_is_refused_unless_somebody_insists() {
    let machine = Machine::new();
    let release = Release::new(42, "1.4.0", 10);
    let (files, seal) = release.open();
    machine.store.remember_bad(BadSeal::of(&seal)).unwrap();
    assert!(machine.store.is_bad(&seal).unwrap());
    assert_eq!(machine.install(&release), Err(Refused::RememberedBad.into()));
    machine.store.install(&files, &seal, BadSeals::Install).unwrap();
    assert_eq!(machine.names("images"), ["42_1.4.0+3-0"]);
}

/// A builder may widen the rollout of what turned out bad on some machines; those know better.
#[test]
fn a_bad_release_is_refused_however_its_seal_reads_now() {
    let machine = Machine::new();
    let mut release = Release::new(42, "1.4.0", 10);
    machine.store.remember_bad(BadSeal::of(&release.seal)).unwrap();
    release.reseal(|seal| {
        seal.created += 1;
        seal.rollout = Percent::NONE;
    });
    assert_eq!(machine.install(&release), Err(Refused::RememberedBad.into()));
    let next = Release::new(43, "1.4.0", 10);
    machine.install(&next).unwrap();
}

#[test]
fn a_bad_entry_gets_its_tries_again_if_somebody_insists() {
    let machine = Machine::new();
    let release = Release::new(42, "1.4.0", 10);
    machine.install(&release).unwrap();
    for _ in 0..3 {
        let tried = machine.store.entries().unwrap().entries.remove(0);
        machine.store.count_try(&tried).unwrap();
    }
    let (files, seal) = release.open();
    let again = |bad| machine.store.install(&files, &seal, bad).unwrap();
    assert_eq!(again(BadSeals::Refuse), Installed::Already(entry("42_1.4.0+0-3")));
    assert_eq!(again(BadSeals::Install), Installed::Retried(entry("42_1.4.0+3-0")));
    assert_eq!(again(BadSeals::Install), Installed::Already(entry("42_1.4.0+3-0")));
}

#[test]
fn two_installations_at_once_are_one_and_a_refusal() {
    let machine = Machine::new();
    let release = Release::new(42, "1.4.0", 10);
    let busy = File::open(machine.path("incoming")).unwrap();
    flock(&busy, FlockOperation::LockExclusive).unwrap();
    assert_eq!(machine.install(&release), Err(Refused::Busy.into()));
    assert!(machine.names("images").is_empty());
    drop(busy);
    machine.install(&release).unwrap();
}

#[test]
fn a_release_below_the_floor_is_refused() {
    let machine = Machine::new();
    fs::write(machine.path("trust/floor-43"), "").unwrap();
    assert_eq!(machine.install(&Release::new(42, "1.4.0", 1)), Err(Refused::BelowFloor.into()));
}

#[test]
fn a_seal_is_installed_only_if_it_is_the_one_that_was_verified() {
    let machine = Machine::new();
    let (files, _) = Release::new(42, "1.4.0", 1).open();
    let (_, other) = Release::new(43, "1.5.0", 1).open();
    let result = machine.store.install(&files, &other, BadSeals::Refuse);
    assert_eq!(result, Err(Refused::OtherSeal.into()));
}

#[test]
fn a_later_seal_of_the_same_image_replaces_the_seal() {
    let machine = Machine::new();
    let mut release = Release::new(42, "1.4.0", 10);
    machine.install(&release).unwrap();
    let name = entry("42_1.4.0+3-0");
    assert_eq!(machine.install(&release).unwrap(), Installed::Already(name.clone()));

    release.reseal(|seal| {
        seal.created += 1;
        seal.floor = 42;
    });
    assert_eq!(machine.install(&release).unwrap(), Installed::Resealed(name.clone()));
    assert_eq!(machine.store.open_entry(&name).unwrap().seal, release.open().0.seal);
    assert_eq!(machine.names("incoming"), [""; 0]);

    release.reseal(|seal| seal.created -= 2);
    assert_eq!(machine.install(&release), Err(Refused::SealNotNewer.into()));
    let other = Release::new(42, "1.4.0", 11);
    assert_eq!(machine.install(&other), Err(Refused::SequenceTaken.into()));
}

#[test]
fn a_damaged_release_is_refused_and_leaves_nothing() {
    let release = Release::new(42, "1.4.0", 200);
    let image = release.path().join("root.img");
    let mut bytes = fs::read(&image).unwrap();
    bytes[150 * 4096 + 17] ^= 1;
    fs::write(&image, &bytes).unwrap();
    let machine = Machine::new();
    let error = machine.install(&release).unwrap_err();
    assert_eq!(error, Error::Damaged { object: "root.img".to_owned(), offset: 150 * 4096 });
    assert_eq!(machine.names("images"), [""; 0]);
    assert_eq!(machine.names("incoming"), [""; 0]);
}

#[test]
fn a_release_of_another_size_is_refused() {
    for file in ["root.img", "root.tree"] {
        for grow in [-4096, -1, 1, 4096] {
            let release = Release::new(42, "1.4.0", 200);
            let path = release.path().join(file);
            let length = fs::metadata(&path).unwrap().len();
            let changed = length.checked_add_signed(grow).unwrap();
            fs::File::options().write(true).open(&path).unwrap().set_len(changed).unwrap();
            let error = Machine::new().install(&release).unwrap_err();
            let said = format!("cannot use {file}: its size is not the seal's");
            assert_eq!(error.to_string(), said);
        }
    }
}

#[test]
fn a_damaged_tree_is_refused() {
    let release = Release::new(42, "1.4.0", 200);
    let path = release.path().join("root.tree");
    let mut bytes = fs::read(&path).unwrap();
    bytes[2 * 4096 + 5] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(matches!(Machine::new().install(&release), Err(Error::Verify(_))));
}

#[test]
fn an_earlier_attempt_is_in_nobodys_way() {
    let machine = Machine::new();
    fs::create_dir_all(machine.path("incoming/42/root.img")).unwrap();
    machine.install(&Release::new(42, "1.4.0", 10)).unwrap();
    assert_eq!(machine.names("images"), ["42_1.4.0+3-0"]);
    assert_eq!(machine.store.empty_trash(100).unwrap(), Emptied::Whole);
    assert_eq!(machine.names("trash"), [""; 0]);
}

#[test]
fn odd_names_are_told_and_otherwise_left_alone() {
    let machine = Machine::with(&["42_1.4.0", "42_1.4.0+3", "lost+found", "42_1.4.0+10-0"]);
    fs::write(machine.path("images/43_1.5.0"), "a file").unwrap();
    symlink("42_1.4.0", machine.path("images/44_1.6.0")).unwrap();
    fs::create_dir(machine.path("images").join(std::ffi::OsStr::from_bytes(b"45_\xff"))).unwrap();
    let mut listing = machine.store.entries().unwrap();
    listing.unknown.sort();
    assert_eq!(listing.entries, [entry("42_1.4.0")]);
    let unknown =
        ["42_1.4.0+10-0", "42_1.4.0+3", "43_1.5.0", "44_1.6.0", "45_\u{fffd}", "lost+found"];
    assert_eq!(listing.unknown, unknown);
}

#[test]
fn unknown_names_in_trust_are_told() {
    let machine = Machine::new();
    for name in ["floor-7", "floor-5", "floor-07", "keys-1", "running-4-1-0", "bad-1-xyz"] {
        fs::write(machine.path("trust").join(name), "").unwrap();
    }
    let mut trust = machine.store.trust().unwrap();
    trust.unknown.sort();
    assert_eq!(trust.floor, 7);
    assert_eq!(trust.mark(), Mark::Running { sequence: 4, boots: 1, lapses: 0 });
    assert_eq!(trust.unknown, ["bad-1-xyz", "floor-07", "keys-1"]);
}

#[test]
fn a_store_without_trust_has_no_floor() {
    let machine = Machine::new();
    fs::remove_dir(machine.path("trust")).unwrap();
    assert_eq!(machine.store.floor().unwrap(), 0);
}

#[test]
fn too_many_names_are_an_error_and_not_a_memory_hog() {
    let machine = Machine::new();
    for number in 0..5000 {
        fs::write(machine.path("images").join(number.to_string()), "").unwrap();
    }
    let error = machine.store.entries().unwrap_err();
    assert_eq!(error.to_string(), "cannot use images: it holds too many names");
}

#[test]
fn no_link_leads_anywhere() {
    let outside = tempfile::tempdir().unwrap();
    fill_entry(outside.path());
    let machine = Machine::with(&["42_1.4.0"]);
    let files = machine.path("images/42_1.4.0");
    fill_entry(&files);
    assert!(machine.store.open_entry(&entry("42_1.4.0")).is_ok());

    for file in ["root.img", "root.tree", "seal"] {
        fs::remove_file(files.join(file)).unwrap();
        symlink(outside.path().join(file), files.join(file)).unwrap();
        let error = machine.store.open_entry(&entry("42_1.4.0")).unwrap_err();
        let said = format!("cannot open images/42_1.4.0/{file}: Too many levels");
        assert!(error.to_string().starts_with(&said), "{error}");
        fs::remove_file(files.join(file)).unwrap();
        fill_entry(&files);
    }
    symlink(outside.path(), machine.path("images/43_1.5.0")).unwrap();
    assert!(machine.store.open_entry(&entry("43_1.5.0")).is_err());
}

#[test]
fn the_stores_own_directories_are_no_links() {
    let elsewhere = tempfile::tempdir().unwrap();
    let machine = Machine::with(&["42_1.4.0+3-0"]);
    fs::rename(machine.path("images"), elsewhere.path().join("images")).unwrap();
    symlink(elsewhere.path().join("images"), machine.path("images")).unwrap();
    assert!(machine.store.entries().is_err());
}

#[test]
fn an_entrys_files_are_regular_files() {
    let machine = Machine::with(&["42_1.4.0"]);
    let files = machine.path("images/42_1.4.0");
    for file in ["root.img", "root.tree", "seal"] {
        fill_entry(&files);
        fs::remove_file(files.join(file)).unwrap();
        // Would hang who just opens it.
        let made = std::process::Command::new("mkfifo").arg(files.join(file)).status().unwrap();
        assert!(made.success());
        let error = machine.store.open_entry(&entry("42_1.4.0")).unwrap_err();
        let said = format!("cannot use images/42_1.4.0/{file}: it is no regular file");
        assert_eq!(error.to_string(), said);
        fs::remove_file(files.join(file)).unwrap();
    }
}

#[test]
fn a_seal_is_read_up_to_its_limit() {
    let machine = Machine::with(&["42_1.4.0"]);
    let files = machine.path("images/42_1.4.0");
    fill_entry(&files);
    fs::write(files.join("seal"), [7; 4096]).unwrap();
    assert_eq!(machine.store.open_entry(&entry("42_1.4.0")).unwrap().seal, [7; 4096]);
    fs::write(files.join("seal"), [7; 4097]).unwrap();
    let error = machine.store.open_entry(&entry("42_1.4.0")).unwrap_err();
    let said = "cannot use images/42_1.4.0/seal: it is longer than a seal";
    assert_eq!(error.to_string(), said);
}

#[test]
fn pruning_keeps_what_would_boot_first_what_runs_and_the_newest_good() {
    let names = ["39_x", "40_a", "41_b", "42_c+0-3", "43_d+0-0", "44_e+3-0"];
    for (keep, running, left) in [
        (0, 40, vec!["40_a", "41_b"]),
        (1, 41, vec!["41_b", "44_e+3-0"]),
        (2, 42, vec!["41_b", "42_c+0-3", "44_e+3-0"]),
        (3, 41, vec!["40_a", "41_b", "44_e+3-0"]),
        (9, 41, vec!["40_a", "41_b", "42_c+0-3", "43_d+0-0", "44_e+3-0"]),
    ] {
        let machine = Machine::with(&names);
        fs::write(machine.path("trust/floor-40"), "").unwrap();
        machine.store.discard(&machine.store.surplus(keep, &[running]).unwrap()).unwrap();
        assert_eq!(machine.names("images"), left, "keep {keep}, {running} runs");
        assert_eq!(machine.store.empty_trash(usize::MAX).unwrap(), Emptied::Whole);
    }
}

#[test]
fn pinned_entries_are_kept_and_not_counted() {
    let names = ["40_a", "41_b", "42_c", "43_d", "44_e+3-0"];
    for (pinned, left) in [
        (vec![], vec!["43_d", "44_e+3-0"]),
        (vec!["40"], vec!["40_a", "43_d", "44_e+3-0"]),
        (vec!["44", "40"], vec!["40_a", "42_c", "43_d", "44_e+3-0"]),
    ] {
        let machine = Machine::with(&names);
        for sequence in &pinned {
            fs::write(machine.path(&format!("trust/pinned-{sequence}")), "").unwrap();
        }
        machine.store.discard(&machine.store.surplus(2, &[43]).unwrap()).unwrap();
        assert_eq!(machine.names("images"), left, "{pinned:?}");
    }
}

#[test]
fn trash_with_links_is_emptied_and_nothing_else() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("precious"), "").unwrap();
    let machine = Machine::new();
    fs::create_dir(machine.path("trash/old")).unwrap();
    symlink(outside.path(), machine.path("trash/old/link")).unwrap();
    symlink(outside.path(), machine.path("trash/link")).unwrap();
    assert_eq!(machine.store.empty_trash(100).unwrap(), Emptied::Whole);
    assert!(outside.path().join("precious").exists());
}

fn fill_entry(directory: &Path) {
    for file in ["root.img", "root.tree", "seal"] {
        fs::write(directory.join(file), file).unwrap();
    }
}
