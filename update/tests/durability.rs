//! What a cut in the middle of each plan leaves, and that no sync in it is one too many: without
//! any one of them the rule that the plan keeps is broken.

mod disk;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use disk::{Names, TORN, cut_install, entries_of, leaves, names, trust_of};
use pintle_update::{
    BadSeal, EntryName, EntryState, InstallStep, KeptPath, Mark, Piece, Place, Step, Tries, Trust,
    install, plan, reset, select,
};
use pintle_verify::{Architecture, Digest, Percent, Salt, Seal};

/// A plan, where it starts, and what each cut must leave.
struct Case<'a> {
    before: Names,
    steps: Vec<InstallStep>,
    rule: &'a dyn Fn(&Names) -> bool,
}

impl<'a> Case<'a> {
    fn of_names(before: Names, steps: Vec<Step>, rule: &'a dyn Fn(&Names) -> bool) -> Self {
        Self { before, steps: steps.into_iter().map(InstallStep::Names).collect(), rule }
    }

    /// The plan is right, and wrong without any one of its syncs.
    fn check(self) {
        assert!(self.holds(&self.steps), "the rule is broken");
        for (index, step) in self.steps.iter().enumerate().filter(|(_, step)| is_sync(step)) {
            let mut fewer = self.steps.clone();
            fewer.remove(index);
            assert!(!self.holds(&fewer), "nobody misses {step}");
        }
    }

    /// The plan is wrong with the step at `index` moved to any of these places before its own.
    fn check_not_at(&self, places: Range<usize>, index: usize) {
        for earlier in places {
            let mut other = self.steps.clone();
            let step = other.remove(index);
            other.insert(earlier, step);
            assert!(!self.holds(&other), "{} may stand at {earlier}", self.steps[index]);
        }
    }

    fn holds(&self, steps: &[InstallStep]) -> bool {
        let incoming = Place::fetched(42);
        let cuts = catch_unwind(AssertUnwindSafe(|| cut_install(&self.before, steps, &incoming).0));
        cuts.is_ok_and(|cuts| cuts.iter().all(self.rule))
    }
}

fn is_sync(step: &InstallStep) -> bool {
    matches!(step, InstallStep::SyncFile(_) | InstallStep::Names(Step::SyncDir(_)))
}

#[test]
fn an_entry_is_whole_as_soon_as_it_is_there() {
    let (_, steps) = install::steps(&seal(), Tries::DEFAULT);
    let case = Case { before: one_entry(), steps, rule: &all_entries_are_whole };
    let rename = case.steps.iter().position(is_rename).unwrap();
    // Just before it the directory's own name is synced, which would do after it as well.
    case.check_not_at(0..rename - 1, rename);
    case.check();
}

#[test]
fn an_entry_has_a_whole_seal_at_any_time() {
    let steps = install::reseal_steps(&seal(), &"41_1.3.0".parse().unwrap());
    let case = Case { before: one_entry(), steps, rule: &all_entries_are_whole };
    let rename = case.steps.iter().position(is_rename).unwrap();
    case.check_not_at(0..rename, rename);
    case.check();
}

#[test]
fn a_try_is_counted_when_the_plan_is_done() {
    let before = names(["images/41_1.3.0", "images/42_1.4.0+3-0"]);
    let entries = entries_of(&before);
    let trial = |names: &Names| {
        entries_of(names).iter().any(|entry| entry.sequence() == 42)
            && entries_of(names).iter().any(|entry| entry.state() == EntryState::Good)
    };
    let steps = plan::count_try(&entries, entry_of(&entries, 42)).steps;
    Case::of_names(before, steps, &trial).check();
}

#[test]
fn in_a_new_round_the_last_are_first() {
    let before = names(["images/41_b+0-9", "images/42_c+0-9"]);
    let steps = plan::new_round(&entries_of(&before), 0);
    // Or a cut each time at the same place would have the same entry tried again.
    let one = |name: &str| names(["images/41_b+0-1", name]);
    let in_turn = |names: &Names| {
        [before.clone(), one("images/42_c+0-9"), one("images/42_c+0-1")].contains(names)
    };
    Case::of_names(before.clone(), steps, &in_turn).check();
}

#[test]
fn the_floor_never_shuts_out_what_is_good() {
    let before = names(["images/41_1.3.0", "images/42_1.4.0+3-0", "trust/floor-41"]);
    let (entries, trust) = (entries_of(&before), trust_of(&before));
    let boots_good = |names: &Names| {
        let order = select(&entries_of(names), trust_of(names).floor);
        order.iter().any(|entry| entry.state() == EntryState::Good)
    };
    let steps = plan::bless(&entries, &trust, entry_of(&entries, 42), 42).steps;
    let case = Case::of_names(before, steps, &boots_good);
    case.check_not_at(0..2, 2);
    case.check();
}

#[test]
fn a_rollback_goes_down_one_by_one() {
    let before = names(["images/40_a", "images/41_b", "images/42_c"]);
    let entries = entries_of(&before);
    // Whatever is rejected, nothing above it boots any more.
    let goes_down = |names: &Names| {
        let entries = entries_of(names);
        let chosen = select(&entries, 0).remove(0);
        let rejected = entries.iter().filter(|entry| entry.state() == EntryState::Rejected);
        chosen.state() == EntryState::Good
            && rejected.map(EntryName::sequence).all(|sequence| sequence > chosen.sequence())
    };
    let steps = plan::roll_back(&entries, 0, entry_of(&entries, 40)).unwrap();
    let case = Case::of_names(before, steps, &goes_down);
    case.check_not_at(0..2, 2);
    case.check();
}

#[test]
fn what_is_remembered_stays_remembered() {
    let bad = |number: u64| BadSeal { sequence: number, root_hash: Digest::of(&[number as u8]) };
    let empty = names(["images/41_1.3.0"]);
    let steps = plan::remember_bad(&trust_of(&empty), bad(1));
    Case::of_names(empty.clone(), steps, &|_| true).check();

    let mut full = empty;
    for number in 1..=plan::MAX_BAD as u64 {
        full.extend(names([format!("trust/bad-{number}-{}", bad(number).root_hash.hex())]));
    }
    let steps = plan::remember_bad(&trust_of(&full), bad(100));
    let keeps = |names: &Names| trust_of(names).bad.len() == plan::MAX_BAD;
    Case::of_names(full, steps, &keeps).check();
}

#[test]
fn there_is_one_mark() {
    let running = Mark::Running { sequence: 41, boots: 1, lapses: 0 };
    let before = names(["trust/clean"]);
    let steps = plan::set_mark(&trust_of(&before), running);
    Case::of_names(before, steps, &|names| trust_of(names).marks.len() == 1).check();

    let odd = names(["trust/clean", "trust/running-40-1-0", "trust/running-41-2-0"]);
    let steps = plan::set_mark(&trust_of(&odd), Mark::Clean);
    Case::of_names(odd.clone(), steps.clone(), &|names| !trust_of(names).marks.is_empty()).check();
    let (_, after) = disk::cut(&odd, &steps);
    assert_eq!(trust_of(&after).marks, [Mark::Clean]);
}

#[test]
fn what_is_pruned_is_gone_before_it_is_emptied() {
    let before = names(["images/40_a", "images/41_b", "images/42_c"]);
    let entries = entries_of(&before);
    let steps = plan::discard(&plan::surplus(&entries, &Trust::default(), 1, &[41]));
    Case::of_names(before, steps, &|names| entries_of(names).len() >= 2).check();
}

#[test]
fn a_factory_reset_is_done_or_still_wished_for() {
    let before = names(["data", "data/etc", "data/factory-reset~", "images"]);
    Case::of_names(before, reset::request_steps(), &|names| names.contains("data/etc")).check();

    let wished = names(["data", "data/etc", "data/factory-reset", "images"]);
    let steps = reset::pending_steps(&root(&wished), &data(&wished), &[]);
    let sound = |names: &Names| {
        let mixed = names.contains("data/etc") != names.contains("data/factory-reset");
        !mixed && names.contains("images")
    };
    Case::of_names(wished.clone(), steps.clone(), &sound).check();

    for left in disk::cut(&wished, &steps).0 {
        let steps = reset::pending_steps(&root(&left), &data(&left), &[]);
        let (_, after) = disk::cut(&left, &steps);
        assert!(after.contains("data") && !after.contains("data/etc"), "{left:?} -> {after:?}");
    }
}

#[test]
fn a_factory_reset_that_keeps_something_keeps_it_all_and_nothing_else() {
    let paths = ["data", "data/etc", "data/etc/upper", "data/etc/upper/ssh", "data/var"];
    let wished = names(paths).into_iter().chain(names(["data/factory-reset", "images"])).collect();
    let kept: Vec<KeptPath> = vec!["/etc/ssh".parse().unwrap()];
    let steps = reset::pending_steps(&root(&wished), &data(&wished), &kept);
    let sound = |names: &Names| {
        let mixed = names.contains("data/var") != names.contains("data/factory-reset");
        !mixed && names.contains("data/etc/upper/ssh")
    };
    Case::of_names(wished.clone(), steps.clone(), &sound).check();

    for left in disk::cut(&wished, &steps).0 {
        let wishes = left.contains("data/factory-reset");
        let kept = if wishes { kept.as_slice() } else { &[] };
        let steps = reset::pending_steps(&root(&left), &data(&left), kept);
        let (_, after) = disk::cut(&left, &steps);
        assert!(sound(&after) && !after.contains("data/var"), "{left:?} -> {after:?}");
        assert!(!after.contains("reset"), "{left:?} -> {after:?}");
    }
}

fn root(names: &Names) -> Vec<String> {
    names.iter().filter(|path| !path.contains('/')).cloned().collect()
}

fn data(names: &Names) -> Vec<String> {
    leaves(names, "data/").map(str::to_owned).collect()
}

fn entry_of(entries: &[EntryName], sequence: u64) -> &EntryName {
    entries.iter().find(|entry| entry.sequence() == sequence).unwrap()
}

fn one_entry() -> Names {
    let entry =
        ["", "/root.img", "/root.tree", "/seal"].map(|file| format!("images/41_1.3.0{file}"));
    names(entry).into_iter().chain(names(["images", "incoming", "trash"])).collect()
}

fn all_entries_are_whole(names: &Names) -> bool {
    entries_of(names).iter().all(|entry| {
        let has = |piece: &Piece| names.contains(Place::entry(entry).piece(*piece).as_str());
        Piece::ALL.iter().all(has) && !names.contains(&format!("images/{entry}/seal{TORN}"))
    })
}

fn is_rename(step: &InstallStep) -> bool {
    matches!(step, InstallStep::Names(Step::Move { .. } | Step::Replace { .. }))
}

fn seal() -> Seal {
    let image_id = "test".parse().unwrap();
    Seal {
        salt: Salt::of_image_id(&image_id),
        image_id,
        architecture: Architecture::X86_64,
        version: "1.4.0".parse().unwrap(),
        sequence: 42,
        floor: 0,
        created: 1,
        best_before: None,
        rollout: Percent::try_from(100).unwrap(),
        image_size: 4096,
        root_hash: Digest::of(b""),
        source: None,
        kernel: None,
        next_keys: None,
    }
}
