//! What the updater knows, in a file for `pintlectl update --status` and for programs: `/run/pintle/update.json`.

use std::fmt::Write as _;
use std::{fs, io};

use pintle_update::schedule::{self, Circumstances, Wall};
use serde::{Deserialize, Serialize};

/// Replaced as a whole, so that a reader never sees half of it.
pub(crate) const PATH: &str = "/run/pintle/update.json";
const NEW: &str = "/run/pintle/update.json.new";

/// The updater at one moment. Times are in seconds since 1970.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub(crate) struct Status {
    /// The tag that the machine follows.
    pub(crate) from: String,
    /// How far it goes by itself.
    pub(crate) mode: String,
    #[serde(flatten)]
    pub(crate) schedule: schedule::Status,
    /// What went wrong last, since the updater was started.
    pub(crate) last_error: Option<LastError>,
    /// An operator's word to leave the machine as it is.
    pub(crate) hold: Option<String>,
    pub(crate) inhibitors: Vec<Inhibitor>,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub(crate) struct LastError {
    pub(crate) at: Wall,
    pub(crate) cause: String,
}

/// Somebody who is against a reboot.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub(crate) struct Inhibitor {
    pub(crate) who: String,
    pub(crate) why: String,
}

impl Status {
    /// Takes down what is said around the machine.
    pub(super) fn with(self, around: &Circumstances) -> Self {
        let inhibitor = |it: &schedule::Inhibitor| Inhibitor {
            who: it.who.to_string(),
            why: it.why.to_string(),
        };
        Self {
            hold: around.hold.as_ref().map(ToString::to_string),
            inhibitors: around.inhibitors.iter().map(inhibitor).collect(),
            ..self
        }
    }

    /// Puts it in the place of the one before.
    pub(super) fn write(&self) -> io::Result<()> {
        fs::write(NEW, serde_json::to_vec(self)?)?;
        fs::rename(NEW, PATH)
    }

    pub(crate) fn read() -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(PATH)?)?)
    }

    /// For people: a line a fact, and none for what is not.
    pub(crate) fn table(&self) -> String {
        let known = &self.schedule;
        let mut rows = vec![("follows", self.from.clone()), ("mode", self.mode.clone())];
        rows.push(("now", known.waits.clone().unwrap_or_else(|| known.doing.to_string())));
        rows.extend(known.release.clone().map(|version| ("found", version)));
        rows.extend(known.staged.clone().map(|entry| ("boots next", entry)));
        rows.push(("last check", self.last_check()));
        rows.extend(known.next_check.map(|at| ("next check", at.to_string())));
        rows.extend(self.last_error.as_ref().map(|it| ("last error", it.told())));
        rows.extend(self.hold.clone().map(|why| ("held", why)));
        rows.extend(self.inhibitors.iter().map(|it| ("inhibited", it.told())));
        aligned(&rows)
    }

    fn last_check(&self) -> String {
        match (&self.schedule.last_check, self.schedule.failures) {
            (None, _) => "none since the start".to_owned(),
            (Some(check), 0) => format!("{}: {}", check.at, check.result),
            (Some(check), failures) => {
                format!("{}: {}; {failures} failed in a row", check.at, check.result)
            }
        }
    }
}

impl LastError {
    fn told(&self) -> String {
        format!("{}: {}", self.at, self.cause)
    }
}

impl Inhibitor {
    fn told(&self) -> String {
        format!("by {}: {}", self.who, self.why)
    }
}

fn aligned(rows: &[(&str, String)]) -> String {
    let mut text = String::new();
    for (name, value) in rows {
        // Writing to a String cannot fail.
        writeln!(text, "{name:<11} {value}").unwrap_or_default();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use pintle_update::schedule::{Doing, LastCheck};

    fn idle() -> Status {
        let last_check = LastCheck { at: Wall(1_795_860_000), result: "nothing newer".to_owned() };
        Status {
            from: "registry.example.com/os/kiosk:stable".to_owned(),
            mode: "apply".to_owned(),
            schedule: schedule::Status {
                last_check: Some(last_check),
                failures: 0,
                next_check: Some(Wall(1_795_874_180)),
                release: None,
                staged: None,
                doing: Doing::Idle,
                waits: None,
                until: None,
            },
            last_error: None,
            hold: None,
            inhibitors: Vec::new(),
        }
    }

    fn waiting() -> Status {
        let (waits, until) =
            ("waits for the window: opens Sun 2026-11-29 03:37 UTC", 1_795_923_433);
        let inhibitor =
            Inhibitor { who: "backup".to_owned(), why: "42 % of the disk is copied".to_owned() };
        let mut status = idle();
        status.schedule.staged = Some("43_1.5.0+3-0".to_owned());
        status.schedule.doing = Doing::Waiting;
        status.schedule.waits = Some(waits.to_owned());
        status.schedule.until = Some(Wall(until));
        Status { inhibitors: vec![inhibitor], ..status }
    }

    fn cut_off() -> Status {
        let cause = "cannot reach registry.example.com: connection refused".to_owned();
        let at = Wall(1_795_860_000);
        let mut status = idle();
        status.schedule.failures = 3;
        status.schedule.release = Some("1.5.0".to_owned());
        status.schedule.last_check = Some(LastCheck { at, result: cause.clone() });
        let last_error = Some(LastError { at, cause });
        Status { last_error, hold: Some("pintlectl hold".to_owned()), ..status }
    }

    fn just_started() -> Status {
        let mut status = idle();
        status.schedule.last_check = None;
        status
    }

    /// `PINTLE_BLESS=1 cargo test` writes the text anew; read the difference before committing it.
    #[test]
    fn what_people_and_programs_see() {
        let mut text = String::new();
        for status in [idle(), waiting(), cut_off(), just_started()] {
            let json = serde_json::to_string(&status).unwrap();
            assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), status);
            writeln!(text, "{}{json}\n", status.table()).unwrap();
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/update-status.txt");
        if std::env::var_os("PINTLE_BLESS").is_some() {
            fs::write(path, &text).unwrap();
        }
        assert_eq!(fs::read_to_string(path).unwrap(), text);
    }
}
