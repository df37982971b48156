//! What follows on each event, and what is done in each case: the tables are the documentation.
//!
//! `PINTLE_BLESS=1 cargo test` writes them anew; read the difference before committing it.

mod golden_file;

use std::fmt::Write;
use std::time::Duration;

use golden_file::compare;
use pintle_update::EntryName;
use pintle_update::schedule::{
    Calendar, Circumstances, Decision, Event, Found, Inhibitor, Job, MachineId, Mode, Now, Policy,
    Reboots, Release, Running, Status, Updater, Wall, Why, Window, Zone, decide,
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// Ten hours after boot it is Saturday morning.
const NOW: Now = Now { since_boot: Duration::from_secs(36_000), wall: Wall(1_795_860_000) };

#[test]
fn events() {
    let mut table = String::from("what follows on each event; · is no change\n");
    for (name, updater) in states() {
        writeln!(table, "\n{name}: {}", shown(&updater)).unwrap();
        for event in all_events() {
            let said = format!("{event:?}");
            let after = updater.clone().after(event, NOW, &policy());
            let after = if after == updater { "·".to_owned() } else { shown(&after) };
            writeln!(table, "    {said}\n        {after}").unwrap();
        }
    }
    compare("updater", &table);
}

#[test]
fn decisions() {
    let mut table =
        String::from("what is done in each case, and when that is thought over again\n");
    for (name, around, policy) in cases() {
        writeln!(table, "\n{name}").unwrap();
        for (state, updater) in states() {
            let decision = decide(&updater, &around, &policy, NOW);
            writeln!(table, "    {state:<20}{}", told(&decision)).unwrap();
        }
    }
    compare("decisions", &table);
}

/// Whoever asks again when told to gets on: no decision is thought over at once for ever.
#[test]
fn no_decision_spins() {
    for (name, around, policy) in cases() {
        for (state, updater) in states() {
            let decision = decide(&updater, &around, &policy, NOW);
            let later = decision.again.is_none_or(|again| again > NOW.since_boot);
            assert!(later, "{name}, {state}: {decision:?}");
        }
    }
}

/// A day that has been fetched for is not fetched for again, and the release comes all the same.
#[test]
fn a_metered_release_comes_in_parts() {
    let policy = Policy { metered: Some(100), ..policy() };
    let mut updater = found(Updater::at_boot(&policy));
    let mut days = 0;
    let mut missing: u64 = 250;
    let mut now = NOW;
    while missing > 0 {
        let decision = decide(&updater, &settled(), &policy, now);
        let part = match decision.action.to_string().as_str() {
            "check" => {
                updater = updater.after(Event::Newer(release()), now, &policy);
                continue;
            }
            "download at most 100 bytes" => missing.min(100),
            waits => {
                assert!(waits.starts_with("waits for the metered limit"), "{waits}");
                now = later(now, decision.again.unwrap());
                days += 1;
                continue;
            }
        };
        missing -= part;
        updater =
            updater.after(Event::Received(part), now, &policy).after(Event::Spent, now, &policy);
    }
    let hours = (now.since_boot - NOW.since_boot).as_secs() / 3600;
    assert_eq!(hours, 48, "{days} decisions");
}

#[test]
fn a_status_is_read_back_from_what_was_written() {
    for (name, around, policy) in cases() {
        for (_, updater) in states() {
            let decision = decide(&updater, &around, &policy, NOW);
            let status = Status::new(&updater, &decision, NOW);
            let json = serde_json::to_string(&status).unwrap();
            assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), status, "{name}");
        }
    }
    let staged = states().remove(3).1;
    let closed = Policy { calendar: nights(), ..policy() };
    let status = Status::new(&staged, &decide(&staged, &settled(), &closed, NOW), NOW);
    assert_eq!(
        serde_json::to_string(&status).unwrap(),
        r#"{"last_check":{"at":1795860000,"result":"1.5.0"},"failures":0,"next_check":1795874180,"release":null,"staged":"43_1.5.0+3-0","doing":"waiting","waits":"waits for the window: opens Sun 2026-11-29 03:37 UTC","until":1795923433}"#
    );
}

fn later(now: Now, again: Duration) -> Now {
    let wall = now.wall.after(again - now.since_boot);
    Now { since_boot: again, wall }
}

fn machine() -> MachineId {
    "0123456789abcdef0123456789abcdef".parse().unwrap()
}

fn policy() -> Policy {
    Policy::of_machine(machine())
}

/// Every night from 02:00 to 04:00 UTC.
fn nights() -> Calendar {
    Calendar::new(Zone::UTC, vec![Window { days: 0x7f, opens: 120, length: 120 }])
}

fn release() -> Found {
    Found {
        sequence: 43,
        version: "1.5.0".to_owned(),
        rollout: 100.try_into().unwrap(),
        known_for: Duration::ZERO,
    }
}

fn found(updater: Updater) -> Updater {
    updater.after(Event::Newer(release()), NOW, &policy())
}

fn states() -> Vec<(&'static str, Updater)> {
    let after = |updater: &Updater, event| updater.clone().after(event, NOW, &policy());
    let booted = Updater::at_boot(&policy());
    let nothing = after(&booted, Event::NothingNewer);
    let known = found(nothing.clone());
    let here = after(&known, Event::Fetched);
    let staged = after(&here, Event::Installed(entry("43_1.5.0+3-0")));
    let newer = Found { sequence: 44, version: "1.6.0".to_owned(), ..release() };
    vec![
        ("nothing", nothing.clone()),
        ("known", known.clone()),
        ("here", here.clone()),
        ("staged", staged.clone()),
        ("staged, one known", after(&staged, Event::Newer(newer))),
        ("installed by hand", after(&known, Event::BootsNext(Some(entry("43_1.5.0+3-0"))))),
        ("put off", after(&here, failed("the backup is running"))),
        ("downloading", after(&known, Event::Started(Job::Download))),
        ("check is due", booted),
    ]
}

fn all_events() -> [Event; 16] {
    let newer = Found { sequence: 44, version: "1.6.0".to_owned(), ..release() };
    let why = Why::new("connection refused");
    [
        Event::Started(Job::Check),
        Event::Newer(release()),
        Event::Newer(newer),
        Event::NothingNewer,
        Event::Unreachable { why: why.clone(), retry_after: None },
        Event::Unreachable { why, retry_after: Some(2 * HOUR) },
        Event::Received(1000),
        Event::Fetched,
        Event::Spent,
        Event::Installed(entry("43_1.5.0+3-0")),
        failed("cannot install release: 9 bytes needed, 8 free"),
        Event::Lost,
        Event::BootsNext(None),
        Event::BootsNext(Some(entry("43_1.5.0+3-0"))),
        Event::BootsNext(Some(entry("42_1.4.9+3-0"))),
        Event::Started(Job::Install),
    ]
}

fn entry(name: &str) -> EntryName {
    name.parse().unwrap()
}

fn failed(why: &str) -> Event {
    Event::Failed { why: Why::new(why), retry_after: None }
}

fn settled() -> Circumstances {
    Circumstances { running: Running::Good, hold: None, inhibitors: Vec::new() }
}

fn cases() -> Vec<(&'static str, Circumstances, Policy)> {
    let around = |running| Circumstances { running, ..settled() };
    let hold = Some(Why::new("trade fair until Monday"));
    let inhibitors =
        vec![Inhibitor { who: Why::new("backup"), why: Why::new("42 % of the disk is copied") }];
    let day = Calendar::new(Zone::UTC, vec![Window { days: 0x7f, opens: 9 * 60, length: 600 }]);
    vec![
        ("nothing is in the way", settled(), policy()),
        ("held", Circumstances { hold, ..settled() }, policy()),
        ("inhibited", Circumstances { inhibitors, ..settled() }, policy()),
        ("on trial", around(Running::Trial), policy()),
        (
            "blessed five minutes ago",
            around(Running::Blessed(NOW.since_boot - 5 * MINUTE)),
            policy(),
        ),
        ("blessed an hour ago", around(Running::Blessed(NOW.since_boot - HOUR)), policy()),
        ("the window is closed", settled(), Policy { calendar: nights(), ..policy() }),
        ("the window is open", settled(), Policy { calendar: day, ..policy() }),
        ("mode = \"download\"", settled(), Policy { mode: Mode::Download, ..policy() }),
        ("mode = \"check\"", settled(), Policy { mode: Mode::Check, ..policy() }),
        ("mode = \"off\"", settled(), Policy { mode: Mode::Off, ..policy() }),
        ("reboot = \"never\"", settled(), Policy { reboots: Reboots::Never, ..policy() }),
        ("metered-limit", settled(), Policy { metered: Some(1 << 20), ..policy() }),
    ]
}

fn shown(updater: &Updater) -> String {
    let release = match updater.release.known() {
        Some((found, ripe)) => format!("{} {} from {ripe:?}", kind(updater), found.version),
        None => "no release".to_owned(),
    };
    let staged = updater.staged.as_ref();
    let staged = staged.map(|staged| format!("staged {} from {:?}", staged.entry, staged.from));
    let job = updater.job.map(|job| format!("{job:?} is under way"));
    let put_off =
        updater.put_off.as_ref().map(|off| format!("put off until {:.0?}: {}", off.until, off.why));
    let check = format!("check at {:.0?}", updater.poll.due());
    let spent = u64::MAX - updater.meter.left(u64::MAX, NOW.since_boot);
    let spent = (spent > 0).then(|| format!("{spent} bytes today"));
    let failures = updater.poll.failures();
    let failed = (failures > 0).then(|| format!("{failures} failed"));
    [Some(release), staged, job, put_off, Some(check), failed, spent]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(", ")
}

fn told(decision: &Decision) -> String {
    match decision.again {
        Some(again) => format!("{} | in {:?}", decision.action, again - NOW.since_boot),
        None => decision.action.to_string(),
    }
}

fn kind(updater: &Updater) -> &'static str {
    match updater.release {
        Release::Nothing => "no",
        Release::Seen(..) => "known",
        Release::Fetched(..) => "here",
    }
}
