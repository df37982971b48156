//! Commands that change which entry boots, and which are kept.

use pintle_update::{EntryName, EntryState, Hold, select};

use super::Failure;
use crate::store::Machine;

/// Makes an older good entry the next to boot, and has what is newer stay away.
pub(super) fn roll_back(wanted: Option<&str>) -> Result<String, Failure> {
    let machine = Machine::here()?;
    let entries = machine.store.entries()?.entries;
    let target = match wanted {
        Some(name) => named(&entries, name)?,
        None => below_running(&machine, &entries)?,
    };
    let floor = machine.store.floor()?;
    let rejected = above(&entries, floor, &target);
    say_first(&format!("{target} boots next{}", instead_of(&rejected)))?;
    // Remembered first: what is rejected must not come back by the next update.
    rejected.iter().try_for_each(|entry| machine.remember(entry))?;
    machine.store.roll_back(&target)?;
    Ok("pintlectl reboot boots it now\n".to_owned())
}

/// Keeps an entry.
pub(super) fn pin(name: &str) -> Result<String, Failure> {
    let machine = Machine::here()?;
    let entry = named(&machine.store.entries()?.entries, name)?;
    machine.store.pin(&entry)?;
    Ok(format!("{entry} is kept until pintlectl unpin\n"))
}

/// Lets an entry go as every other one.
pub(super) fn unpin(name: &str) -> Result<String, Failure> {
    let machine = Machine::here()?;
    let entry = named(&machine.store.entries()?.entries, name)?;
    machine.store.unpin(&entry)?;
    Ok(format!("{entry} is kept no longer than others\n"))
}

/// Stops updates that happen by themselves, or lets them happen.
pub(super) fn hold(hold: Hold) -> Result<String, Failure> {
    Machine::here()?.store.set_hold(hold)?;
    Ok(match hold {
        Hold::On => "no update happens by itself until pintlectl unhold\n",
        Hold::Off => "updates happen by themselves, as the configuration says\n",
    }
    .to_owned())
}

/// The entry of this name, with or without its counters; its sequence or its version will do.
pub(super) fn named(entries: &[EntryName], name: &str) -> Result<EntryName, Failure> {
    let is_it = |entry: &&EntryName| {
        let full = entry.to_string();
        full == name
            || full.split('+').next() == Some(name)
            || entry.sequence().to_string() == name
            || entry.version().to_string() == name
    };
    let mut found = entries.iter().filter(is_it);
    match (found.next(), found.next()) {
        (Some(entry), None) => Ok(entry.clone()),
        (Some(_), Some(_)) => Err(Failure::Cause(format!(
            "pintlectl: there are several entries {name}; pintlectl list has their whole names"
        ))),
        (None, _) => Err(Failure::Cause(format!(
            "pintlectl: there is no entry {name}; pintlectl list says which there are"
        ))),
    }
}

/// The line that comes before the change.
pub(super) fn say_first(text: &str) -> Result<(), Failure> {
    super::print(&format!("{text}\n"))
}

fn below_running(machine: &Machine, entries: &[EntryName]) -> Result<EntryName, Failure> {
    let running = machine.running()?.sequence();
    let is_older =
        |entry: &&EntryName| entry.sequence() < running && entry.state() == EntryState::Good;
    let older = entries.iter().filter(is_older).max_by_key(|entry| entry.sequence());
    older.cloned().ok_or_else(|| {
        Failure::Cause(
            "pintlectl: cannot roll back: there is no good entry older than the running one"
                .to_owned(),
        )
    })
}

/// What would boot before `target`.
fn above(entries: &[EntryName], floor: u64, target: &EntryName) -> Vec<EntryName> {
    select(entries, floor).into_iter().take_while(|entry| entry != target).collect()
}

fn instead_of(rejected: &[EntryName]) -> String {
    match rejected {
        [] => String::new(),
        rejected => {
            let names: Vec<_> = rejected.iter().map(ToString::to_string).collect();
            format!("; {} will not boot any more by itself", names.join(" and "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(names: &[&str]) -> Vec<EntryName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn an_entry_is_found_by_what_people_call_it() {
        let all = entries(&["41_1.3.0", "42_1.4.0+2-1", "43_1.4.0"]);
        for (name, expected) in [("41", Some(0)), ("1.3.0", Some(0)), ("42_1.4.0", Some(1))] {
            let found = named(&all, name).ok();
            assert_eq!(found.as_ref(), expected.map(|index: usize| &all[index]), "{name}");
        }
        for name in ["44", "1.4.0", "", "4"] {
            assert!(named(&all, name).is_err(), "{name}");
        }
    }

    #[test]
    fn what_would_boot_before_the_target_is_rejected() {
        let all = entries(&["41_1.3.0", "42_1.4.0", "43_1.5.0+3-0", "44_x+0-3"]);
        let rejected = above(&all, 0, &all[0]);
        assert_eq!(rejected, [all[2].clone(), all[1].clone()]);
        assert!(instead_of(&rejected).contains("43_1.5.0+3-0 and 42_1.4.0"));
    }
}
