//! The tables that are the documentation: every state and event, what boots in which order, and
//! each plan's steps with every sync in its place.
//!
//! `PINTLE_BLESS=1 cargo test` writes them anew; read the difference before committing it.

mod golden_file;

use std::fmt::Write;

use golden_file::compare;
use pintle_update::{
    BadSeal, EntryName, EntryState, Event, InstallStep, Mark, Step, Tries, Trust, install, plan,
    reset, select,
};
use pintle_verify::{Architecture, Digest, Percent, Salt, Seal};

const EVENTS: [Event; 6] =
    [Event::Try, Event::Bless, Event::Demote, Event::Condemn, Event::Reject, Event::Retry];

#[test]
fn states() {
    let mut table = String::from("what follows on each event, with 3 tries; · is no change\n\n");
    let headings = EVENTS.map(|event| format!("{event:?}"));
    line(&mut table, "state", &headings);
    for state in EntryState::all() {
        let after = EVENTS.map(|event| match state.after(event, Tries::DEFAULT) {
            same if same == state => "·".to_owned(),
            next => shown(next),
        });
        line(&mut table, &shown(state), &after);
    }
    compare("states", &table);
}

#[test]
fn selection() {
    let mut table = String::from("floor | what is in images/ | the order in which it is tried\n\n");
    for (floor, names) in SELECTIONS {
        let entries = entries(names);
        let order: Vec<_> = select(&entries, floor).iter().map(EntryName::to_string).collect();
        writeln!(table, "{floor} | {} | {}", names.join(" "), order.join(" ")).unwrap();
    }
    compare("selection", &table);
}

const SELECTIONS: [(u64, &[&str]); 17] = [
    (0, &[]),
    (0, &["1_a"]),
    (0, &["1_a", "2_b"]),
    (0, &["1_a", "2_b+3-0"]),
    (0, &["1_a", "2_b+1-2"]),
    (0, &["1_a", "2_b+0-3"]),
    (0, &["1_a", "2_b+0-0"]),
    (0, &["1_a+3-0", "2_b"]),
    (0, &["1_a+0-3", "2_b+0-3"]),
    (0, &["1_a+0-3", "2_b+0-4"]),
    (0, &["1_a+0-9", "2_b+0-9", "3_c+0-9"]),
    (0, &["1_a+0-0", "2_b+0-0", "3_c+0-9"]),
    (2, &["1_a", "2_b+0-3", "3_c+0-0"]),
    (3, &["1_a", "2_b"]),
    (0, &["2_b+3-0", "2_b", "2_b+0-0", "2_b+2-1", "2_b+0-3"]),
    (0, &["2_1.4", "2_1.10", "2_1.4~rc1"]),
    (0, &["18446744073709551615_z", "0_a"]),
];

#[test]
fn plans() {
    let mut table = String::new();
    for (title, steps) in plans_by_title() {
        writeln!(table, "{title}").unwrap();
        steps.iter().for_each(|step| writeln!(table, "    {step}").unwrap());
    }
    compare("plans", &table);
}

fn plans_by_title() -> Vec<(&'static str, Vec<String>)> {
    let three = entries(&["1_a", "2_b", "3_c+3-0"]);
    let [one, two, trial] = three.as_slice() else { unreachable!() };
    let bad = entries(&["1_a+0-9", "2_b+0-9"]);
    let below = entries(&["1_a+0-1", "2_b+0-9", "3_c+0-9"]);
    let copies = entries(&["1_a", "1_a+3-0"]);
    let trust = Trust { floor: 1, marks: vec![running(2, 1)], ..Trust::default() };
    let lapsed = Trust { marks: vec![running(2, 2)], ..Trust::default() };
    let doubted = Trust {
        marks: vec![Mark::Running { sequence: 2, boots: 3, lapses: 0 }],
        ..Trust::default()
    };
    let crowded = Trust { bad: vec![bad_seal(1); plan::MAX_BAD], ..Trust::default() };
    let new = Trust::default();
    let tries = Tries::DEFAULT;
    vec![
        ("count a try of 3_c+3-0", shown_all(&plan::count_try(&three, trial).steps)),
        ("count a try of 2_b", shown_all(&plan::count_try(&three, two).steps)),
        ("count a try of 2_b+0-9", shown_all(&plan::count_try(&bad, &bad[1]).steps)),
        ("new round, 1_a and 2_b had nine tries", shown_all(&plan::new_round(&bad, 0))),
        ("new round, 1_a+0-1 is below the floor", shown_all(&plan::new_round(&below, 2))),
        ("new round, nothing is bad", shown_all(&plan::new_round(&three, 0))),
        (
            "bless 3_c+3-0, floor 0, machine's floor 1",
            shown_all(&plan::bless(&three, &trust, trial, 0).steps),
        ),
        (
            "bless 3_c+3-0, floor 2, machine's floor 1",
            shown_all(&plan::bless(&three, &trust, trial, 2).steps),
        ),
        ("bless 2_b, floor 2, no floor yet", shown_all(&plan::bless(&three, &new, two, 2).steps)),
        (
            "bless 2_b, floor 7 (no seal states that)",
            shown_all(&plan::bless(&three, &new, two, 7).steps),
        ),
        ("demote 2_b, its first failure", shown_all(&plan::demote(&three, &new, two, tries).steps)),
        (
            "demote 2_b, its second failure",
            shown_all(&plan::demote(&three, &trust, two, tries).steps),
        ),
        (
            "demote 2_b, its third failure",
            shown_all(&plan::demote(&three, &lapsed, two, tries).steps),
        ),
        ("demote 3_c+3-0", shown_all(&plan::demote(&three, &new, trial, tries).steps)),
        (
            "doubt 2_b after three boots",
            shown_all(&plan::doubt(&three, &doubted, tries).unwrap().steps),
        ),
        (
            "demote 1_a, beside an odd copy",
            shown_all(&plan::demote(&copies, &new, &copies[0], tries).steps),
        ),
        ("roll back to 1_a", shown_all(&plan::roll_back(&three, 0, one).unwrap())),
        ("raise the floor to 2, no floor yet", shown_all(&plan::raise_floor(&new, 2))),
        ("lower the floor", shown_all(&plan::raise_floor(&trust, 0))),
        ("remember a bad seal", shown_all(&plan::remember_bad(&new, bad_seal(3)))),
        (
            "remember a bad seal, too many remembered",
            shown_all(&plan::remember_bad(&crowded, bad_seal(3))),
        ),
        ("first mark", shown_all(&plan::set_mark(&new, running(3, 0)))),
        ("next mark", shown_all(&plan::set_mark(&trust, Mark::Clean))),
        ("discard 1_a and 2_b", shown_all(&plan::discard(&three[..2]))),
        ("install 42_1.4.0", shown_install(&install::steps(&seal(), tries).1)),
        (
            "install 42_1.4.0, which was fetched",
            shown_install(&install::fetched_steps(&seal(), tries).1),
        ),
        ("mend 42_1.4.0", shown_install(&install::repair_steps(&seal(), &entry("42_1.4.0")))),
        ("pin 2_b", shown_all(&plan::pin(&new, 2))),
        ("clear what is left of an earlier attempt", shown_all(&install::clear_steps(42))),
        (
            "replace the seal of 42_1.4.0",
            shown_install(&install::reseal_steps(&seal(), &entry("42_1.4.0"))),
        ),
        ("wish for a factory reset", shown_all(&reset::request_steps())),
        (
            "factory reset",
            shown_all(&reset::pending_steps(
                &strings(&["data"]),
                &strings(&["etc", "factory-reset"]),
                &[],
            )),
        ),
        (
            "factory reset that keeps /etc/ssh and /var/lib/app",
            shown_all(&reset::pending_steps(
                &strings(&["data"]),
                &strings(&["etc", "factory-reset"]),
                &["/etc/ssh", "/var/lib/app"].map(|path| path.parse().unwrap()),
            )),
        ),
        (
            "what a reset that was cut has left",
            shown_all(&reset::pending_steps(&strings(&["data", "reset"]), &strings(&["etc"]), &[])),
        ),
        (
            "no factory reset",
            shown_all(&reset::pending_steps(&strings(&["data"]), &strings(&["etc"]), &[])),
        ),
        (
            "factory reset, cut in the middle",
            shown_all(&reset::pending_steps(&strings(&["trash"]), &[], &[])),
        ),
    ]
}

fn seal() -> Seal {
    Seal {
        image_id: "test".parse().unwrap(),
        architecture: Architecture::X86_64,
        version: "1.4.0".parse().unwrap(),
        sequence: 42,
        floor: 0,
        created: 1,
        best_before: None,
        rollout: Percent::try_from(100).unwrap(),
        image_size: 4096,
        salt: Salt::of_image_id(&"test".parse().unwrap()),
        root_hash: Digest::of(b""),
        source: None,
        kernel: None,
        next_keys: None,
    }
}

fn bad_seal(sequence: u64) -> BadSeal {
    BadSeal { sequence, root_hash: Digest::of(&sequence.to_le_bytes()) }
}

fn running(sequence: u64, lapses: u8) -> Mark {
    Mark::Running { sequence, boots: 1, lapses }
}

fn entry(name: &str) -> EntryName {
    name.parse().unwrap()
}

fn entries(names: &[&str]) -> Vec<EntryName> {
    names.iter().copied().map(entry).collect()
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().copied().map(str::to_owned).collect()
}

fn shown_all(steps: &[Step]) -> Vec<String> {
    steps.iter().map(Step::to_string).collect()
}

fn shown_install(steps: &[InstallStep]) -> Vec<String> {
    steps.iter().map(InstallStep::to_string).collect()
}

/// The end of a name.
fn shown(state: EntryState) -> String {
    let name = EntryName::new(0, "v".parse().unwrap(), state).to_string();
    match name.trim_start_matches("0_v") {
        "" => "good".to_owned(),
        counters => counters.to_owned(),
    }
}

fn line(table: &mut String, first: &str, rest: &[String]) {
    let cells: String = rest.iter().map(|cell| format!("{cell:<8}")).collect();
    writeln!(table, "{first:<8}{}", cells.trim_end()).unwrap();
}
