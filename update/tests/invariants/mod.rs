//! What holds for any names that a directory could have. The fuzz targets and the tests in
//! mutations.rs run the same functions.

use std::collections::BTreeSet;

use pintle_update::schedule::{Wall, Zone};
use pintle_update::{
    BadSeal, EntryName, EntryState, Event, Listing, Mark, Place, Step, Tries, Trust, plan, select,
};
use pintle_verify::Digest;

/// 20 digits, `_`, a version of 64 characters, `+9-9`.
const LONGEST_NAME: usize = 89;

/// Any lines as the names in `images/` are entries or are told as none. A name has one spelling, is
/// one part of a path, and stays a name whatever happens to the entry. Every entry at or above the
/// floor is tried exactly once, in an order that does not depend on the listing's.
///
/// Returns whether all of them are entries.
pub(crate) fn names_are_read_in_one_way(text: &str) -> bool {
    let names = names(text);
    let listing = Listing::from_names(names.iter().map(|name| (name.clone(), true)));
    assert_eq!(listing.entries.len() + listing.unknown.len(), names.len());
    listing.entries.iter().for_each(|entry| check_name(entry, &names));
    check_selection(&listing.entries);
    listing.unknown.is_empty()
}

/// A directory has no name twice.
fn names(text: &str) -> BTreeSet<String> {
    text.lines().map(str::to_owned).collect()
}

fn check_name(entry: &EntryName, names: &BTreeSet<String>) {
    let shown = entry.to_string();
    assert!(names.contains(&shown));
    assert!(shown.len() <= LONGEST_NAME && !shown.contains('/'));
    assert_eq!(Place::entry(entry).parent(), Some(Place::images()));
    for event in EVENTS {
        let next = entry.after(event, Tries::DEFAULT);
        assert_eq!(next.to_string().parse(), Ok(next));
    }
}

const EVENTS: [Event; 6] =
    [Event::Try, Event::Bless, Event::Demote, Event::Condemn, Event::Reject, Event::Retry];

fn check_selection(entries: &[EntryName]) {
    let Some(floor) = entries.iter().map(EntryName::sequence).min() else { return };
    let order = select(entries, floor);
    let backwards: Vec<_> = entries.iter().rev().cloned().collect();
    assert_eq!(order, select(&backwards, floor));
    assert_eq!(order.len(), entries.len());
    assert!(entries.iter().all(|entry| order.contains(entry)));
    assert!(order.is_sorted_by_key(|entry| class(entry.state())));
    let higher = select(entries, floor.saturating_add(1));
    assert!(higher.iter().all(|entry| entry.sequence() > floor || floor == u64::MAX));
}

fn class(state: EntryState) -> u8 {
    match state {
        EntryState::Good | EntryState::Trial { .. } => 0,
        EntryState::Bad { .. } => 1,
        EntryState::Rejected => 2,
    }
}

/// Any lines as the names in `trust/` are understood or told as unknown, and what is then written
/// there is understood. The floor never falls, what is bad is known as bad, and there is one mark.
///
/// Returns whether all of them are understood.
pub(crate) fn trust_is_read_in_one_way(text: &str) -> bool {
    let trust = trust_of(&names(text));
    let floor = trust.floor.saturating_add(1);
    let after = carried_out(text, &plan::raise_floor(&trust, floor));
    assert_eq!(after.floor, floor);
    assert!(floors(text).all(|stated| stated <= after.floor));
    let bad = BadSeal { sequence: 7, root_hash: Digest::of(text.as_bytes()) };
    assert!(carried_out(text, &plan::remember_bad(&trust, bad)).bad.contains(&bad));
    let entry = EntryName::new(7, "a".parse().unwrap(), EntryState::Good);
    for mark in [trust.mark().started(&entry), trust.mark().settled(), Mark::Clean] {
        assert_eq!(carried_out(text, &plan::set_mark(&trust, mark)).marks, [mark]);
    }
    trust.unknown.is_empty()
}

fn floors(text: &str) -> impl Iterator<Item = u64> {
    let stated = text.lines().filter_map(|name| name.strip_prefix("floor-"));
    stated.filter_map(|floor| floor.parse().ok().filter(|number: &u64| number.to_string() == floor))
}

/// What `trust/` says after the steps.
fn carried_out(text: &str, steps: &[Step]) -> Trust {
    let mut names = names(text);
    for step in steps {
        match step {
            Step::Touch(place) => drop(names.insert(place.leaf().to_owned())),
            Step::Unlink(place) => assert!(names.remove(place.leaf()), "{step}"),
            Step::Move { from, to } => {
                assert!(names.remove(from.leaf()) && names.insert(to.leaf().to_owned()), "{step}");
            }
            Step::SyncDir(place) => assert_eq!(*place, Place::trust()),
            other => panic!("{other}"),
        }
    }
    trust_of(&names)
}

fn trust_of(names: &BTreeSet<String>) -> Trust {
    Trust::from_names(names.iter().map(String::as_str))
}

/// Any text that is a time zone rule to jiff, which checks images, is one to the machine too; and clocks that go by it show
/// the same for both, and reach what they show first when `first_at` says so.
///
/// Returns whether it is a rule.
pub(crate) fn zones_go_as_jiff_says(text: &str) -> bool {
    let (ours, theirs) = (text.parse::<Zone>(), jiff::tz::TimeZone::posix(text));
    assert!(ours.is_ok() || theirs.is_err(), "{text:?}: {ours:?}");
    if let (Ok(ours), Ok(theirs), true) = (&ours, &theirs, is_usual(text)) {
        moments().for_each(|wall| clocks_agree(ours, theirs, wall));
    }
    ours.is_ok()
}

/// With changes further from their day, daylight time can last longer than a year, and every reader
/// makes something else of that.
fn is_usual(text: &str) -> bool {
    let hours = |time: &str| {
        let digits = time.trim_start_matches(['+', '-']).split([',', ':']).next();
        digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
    };
    text.split('/').skip(1).all(|time| hours(time) <= 24)
}

/// Each 13th hour of 2024, which is a leap year, and of 2025, and far years. Around new year jiff knows
/// the changes of one year only, though those of another may reach into it by a week.
fn moments() -> impl Iterator<Item = Wall> {
    let hours = [1_704_067_200, 1_735_689_600]
        .map(|new_year| (9 * 24..356 * 24).step_by(13).map(move |hour| new_year + hour * 3600));
    let far = [-5_000_000_000, 5_000_000_000, 100_000_000_000];
    hours.into_iter().flatten().chain(far).map(Wall)
}

fn clocks_agree(ours: &Zone, theirs: &jiff::tz::TimeZone, wall: Wall) {
    let timestamp = jiff::Timestamp::from_second(wall.0).unwrap();
    let offset = theirs.to_offset(timestamp).seconds();
    assert_eq!(ours.local(wall), wall.0 + i64::from(offset), "{theirs:?} {wall:?}");
    let local = ours.local(wall);
    let first = ours.first_at(local);
    assert!(first <= wall && ours.local(first) >= local, "{theirs:?} {wall:?}");
}
