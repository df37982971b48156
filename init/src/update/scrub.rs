//! The running image, read again slowly while nothing else is to be done.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pintle_config::Update;
use pintle_update::scrub::{Scrub, Scrubbed};

use crate::store::{self, Machine, STATE};

/// Between two reads of 256 KiB: a gigabyte takes seven minutes, and nobody notices.
const PAUSE: Duration = Duration::from_millis(100);

/// Not before the machine has come to rest.
const AFTER_BOOT: Duration = Duration::from_secs(15 * 60);

/// Its time of modification is that of the last scrub that was done.
const LAST: &str = "last-scrub";

/// Reads the running image again when its time has come.
pub(crate) struct Scrubber {
    interval: Option<Duration>,
    at_work: Option<Scrub>,
}

impl Scrubber {
    pub(crate) fn new(settings: &Update) -> Self {
        let interval = match settings.scrub {
            pintle_config::Scrub::Off => None,
            pintle_config::Scrub::Every(interval) => Some(interval.duration()),
        };
        Self { interval, at_work: None }
    }

    /// Goes a step on, where one is due; what was found, at the end.
    pub(crate) fn turn(&mut self, machine: &Machine) -> Option<String> {
        if self.at_work.is_none() && self.is_due() {
            match begin(machine) {
                Ok(scrub) => self.at_work = Some(scrub),
                Err(cause) => {
                    note_done();
                    return Some(cause.to_string());
                }
            }
        }
        let found = match self.at_work.as_mut()?.step() {
            Ok(Scrubbed::InPart) => return None,
            Ok(Scrubbed::Whole(damaged)) => told(&damaged),
            Err(cause) => Some(cause.to_string()),
        };
        self.at_work = None;
        note_done();
        found
    }

    /// How long nothing is to be done.
    pub(crate) fn nap(&self) -> Duration {
        if self.at_work.is_some() { PAUSE } else { Duration::MAX }
    }

    fn is_due(&self) -> bool {
        let Some(interval) = self.interval else { return false };
        let last = fs::metadata(last()).and_then(|file| file.modified()).ok();
        // A clock that was set back makes a scrub late, and one that was set forward makes it early.
        let since = last.and_then(|last| SystemTime::now().duration_since(last).ok());
        let booted = Duration::from_millis(crate::clock::milliseconds());
        booted >= AFTER_BOOT && since.is_none_or(|since| since >= interval)
    }
}

/// Reads all of the running image now, as fast as it goes.
pub(crate) fn whole(machine: &Machine) -> Result<Vec<u64>, store::Error> {
    let mut scrub = begin(machine)?;
    loop {
        if let Scrubbed::Whole(damaged) = scrub.step()? {
            note_done();
            return Ok(damaged);
        }
    }
}

/// What is wrong, for people.
pub(crate) fn told(damaged: &[u64]) -> Option<String> {
    let first = damaged.first()?;
    Some(format!(
        "{} blocks of the running image are damaged, the first is {first}; pintlectl repair fetches them again",
        damaged.len()
    ))
}

fn begin(machine: &Machine) -> Result<Scrub, store::Error> {
    let files = machine.store.open_entry(&machine.running()?)?;
    let seal = machine.verify(&files.seal)?;
    Ok(Scrub::begin(files, seal)?)
}

/// Where it cannot be noted, the next scrub comes early.
fn note_done() {
    fs::write(last(), "").unwrap_or_default();
}

fn last() -> PathBuf {
    Path::new(STATE).join(LAST)
}
