//! `pintlectl`: the same binary by another name. It reads what PID 1 writes to `/run`, works on the store as `pintle-store`
//! does, and asks PID 1 to go down by a signal.

mod entries;
mod inhibit;
mod reset;
mod update;

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use pintle_sys::signals::send;
use pintle_update::{BadSeals, EntryFiles, EntryName, Hold, Installed};
use rustix::fd::AsFd;
use rustix::process::Pid;

use crate::handover::Refused;
use crate::last_report;
use crate::new_root::state_word;
use crate::power::How;
use crate::status::Status;
use crate::store::{self, Machine};
use crate::update::daemon;

const HELP: &str = "\
pintlectl: see and steer this machine

Usage: pintlectl COMMAND

Commands:
  status [--json]   what runs, whether it is healthy, and its services
  list [--json]     the installed entries, and which of them boots next
  install [--force] DIR
                    install the release in DIR beside the others; it boots on trial.
                    --force: even one that turned out bad before, or is past its time
  update [--check | --download | --apply] [--to REFERENCE | --from PATH] [--force]
                    fetch the release that the machine follows and install it; it boots on trial.
                    --check: only say what there is; --download: only fetch it; --apply: reboot into it now.
                    --to: from another tag or digest of a registry; --from: from an OCI layout, a directory
                    or a tar file, without a network
  update --status [--json]
                    what the machine does about updates by itself, and what it waits for
  rollback [ENTRY]  boot ENTRY next, or the newest good entry below the running one; what is newer is
                    rejected, and not installed again by itself
  repair [--from PATH] [ENTRY]
                    fetch the damaged blocks of ENTRY, or of the running entry, and replace its files.
                    --from: from an OCI layout, a directory or a tar file, without a network
  scrub             read the running image again, and say which blocks are damaged
  pin ENTRY, unpin ENTRY
                    keep ENTRY however many newer ones there are, or do not any more
  hold, unhold      let no update happen by itself, or let it again
  inhibit WHO WHY COMMAND...
                    run COMMAND; until it ends the machine does not reboot into an update by itself
  factory-reset [--keep PATH]... [--image]
                    throw local changes away at the next boot, all but what is at PATH in /etc or /var.
                    --image: go back to the image that the machine was shipped with, too
  factory-reset --cancel
                    do not, after all
  updater           look for releases, fetch them and reboot into them as [update] in the image's
                    configuration says: the service pintle-update, or a unit of another init
  bless             mark the running entry good (pintle-init does so by itself)
  reboot            stop the services, unmount everything, boot again
  poweroff          the same, then switch off
  halt              the same, then stand still
  help              this text
  version           which pintle this is

Exit status: 0 done, 1 it could not be done, 2 the command line is not understood.
";

/// How output is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Table,
    Json,
}

/// What keeps a command from being carried out.
enum Failure {
    Usage(String),
    Cause(String),
}

/// Carries out the command line.
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    match command(arguments).and_then(|text| print(&text)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(text)) => {
            complain(&format!("pintlectl: {text}; see pintlectl help\n"), 2)
        }
        Err(Failure::Cause(text)) => complain(&format!("{text}\n"), 1),
    }
}

fn command(arguments: &[String]) -> Result<String, Failure> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *words.as_slice() {
        ["status"] => status(Format::Table),
        ["status", "--json"] => status(Format::Json),
        ["list"] => list(Format::Table),
        ["list", "--json"] => list(Format::Json),
        ["install", directory] if !directory.starts_with('-') => {
            install(Path::new(directory), BadSeals::Refuse)
        }
        ["install", "--force", directory] => install(Path::new(directory), BadSeals::Install),
        ["bless"] => bless(),
        ["update", "--status"] => update::status(Format::Table),
        ["update", "--status", "--json"] => update::status(Format::Json),
        ["update", ref rest @ ..] => update::run(rest),
        ["rollback"] => entries::roll_back(None),
        ["rollback", entry] => entries::roll_back(Some(entry)),
        ["repair"] => update::repair(None, None),
        ["repair", "--from", path] => update::repair(None, Some(path)),
        ["repair", "--from", path, entry] => update::repair(Some(entry), Some(path)),
        ["repair", entry] if !entry.starts_with('-') => update::repair(Some(entry), None),
        ["pin", entry] => entries::pin(entry),
        ["unpin", entry] => entries::unpin(entry),
        ["hold"] => entries::hold(Hold::On),
        ["unhold"] => entries::hold(Hold::Off),
        ["inhibit", who, why, ref command @ ..] => inhibit::run(who, why, command),
        ["factory-reset", ref rest @ ..] => reset::run(rest),
        ["scrub"] => update::scrub(),
        ["updater"] => daemon::run().map_err(|cause| refused(&cause)),
        ["reboot"] => ask(How::Reboot),
        ["poweroff"] => ask(How::PowerOff),
        ["halt"] => ask(How::Halt),
        ["help" | "--help" | "-h"] => Ok(HELP.to_owned()),
        ["version" | "--version" | "-V"] => {
            Ok(format!("pintlectl {}\n", env!("CARGO_PKG_VERSION")))
        }
        _ => Err(Failure::Usage(complaint(&words))),
    }
}

/// What is wrong with words that are no command line.
fn complaint(words: &[&str]) -> String {
    const COMMANDS: [&str; 17] = [
        "status",
        "list",
        "install",
        "bless",
        "reboot",
        "poweroff",
        "halt",
        "rollback",
        "repair",
        "pin",
        "unpin",
        "hold",
        "unhold",
        "inhibit",
        "updater",
        "factory-reset",
        "scrub",
    ];
    match *words {
        [] => "expected a command".to_owned(),
        ["install"] | ["install", "--force"] => {
            "install: expected a release's directory".to_owned()
        }
        ["install", "--force", _, word, ..] | ["install", _, word, ..] => {
            format!("install: did not expect \"{word}\"")
        }
        ["repair", "--from"] => "repair: --from needs an argument".to_owned(),
        ["repair", "--from", _, _, word, ..] => format!("repair: did not expect \"{word}\""),
        [command @ ("pin" | "unpin")] => {
            format!("{command}: expected an entry; pintlectl list names them")
        }
        ["inhibit", ..] => "inhibit: expected who, why and a command".to_owned(),
        [command, word, ..] if COMMANDS.contains(&command) => {
            format!("{command}: did not expect \"{word}\"")
        }
        [word, ..] => format!("there is no command \"{word}\""),
    }
}

fn status(format: Format) -> Result<String, Failure> {
    let status = Status::read().map_err(|cause| {
        Failure::Cause(format!("cannot read the machine's status: {cause}; is pintle-init PID 1?"))
    })?;
    match format {
        Format::Json => json(&status),
        Format::Table => Ok(status_table(&status)),
    }
}

fn status_table(status: &Status) -> String {
    let mut text = format!(
        "image     {}  (entry {})\nverified  by {}, root hash {}\nhealth    {}\n",
        status.version, status.entry, status.verity, status.root_hash, status.health
    );
    // Writing to a String cannot fail.
    for Refused { entry, reason } in &status.refused {
        writeln!(text, "refused   {entry}: {reason}").unwrap_or_default();
    }
    if last_report::is_there() {
        writeln!(text, "alert     a run ended badly; its report is in {}", last_report::PATH)
            .unwrap_or_default();
    }
    writeln!(text, "\n{:<25} STATE", "SERVICE").unwrap_or_default();
    for service in &status.services {
        writeln!(text, "{:<25} {}", service.name, service.state).unwrap_or_default();
    }
    text
}

#[derive(serde::Serialize)]
struct Listed {
    entry: String,
    sequence: u64,
    version: String,
    state: &'static str,
    running: &'static str,
    next: &'static str,
}

fn list(format: Format) -> Result<String, Failure> {
    let machine = Machine::here()?;
    let entries = machine.store.entries()?.entries;
    let order = pintle_update::select(&entries, machine.store.floor()?);
    let next = order.first();
    let listed: Vec<_> = order.iter().map(|entry| Listed::of(entry, &machine, next)).collect();
    match format {
        Format::Json => json(&listed),
        Format::Table => Ok(list_table(&listed)),
    }
}

impl Listed {
    fn of(entry: &EntryName, machine: &Machine, next: Option<&EntryName>) -> Self {
        let yes = |condition: bool| if condition { "yes" } else { "no" };
        Self {
            entry: entry.to_string(),
            sequence: entry.sequence(),
            version: entry.version().to_string(),
            state: state_word(entry.state()),
            running: yes(machine.runs(entry)),
            next: yes(Some(entry) == next),
        }
    }
}

fn list_table(listed: &[Listed]) -> String {
    let mut text = format!("{:<40} {:<9} {:<8} {}\n", "ENTRY", "STATE", "RUNNING", "BOOTS NEXT");
    for row in listed {
        writeln!(text, "{:<40} {:<9} {:<8} {}", row.entry, row.state, row.running, row.next)
            .unwrap_or_default();
    }
    text
}

fn install(directory: &Path, bad: BadSeals) -> Result<String, Failure> {
    let machine = Machine::here()?;
    let release = EntryFiles::open_release(store::open_directory(directory)?.as_fd())?;
    let seal = machine.verify(&release.seal)?;
    if bad == BadSeals::Refuse {
        check_age(seal.best_before, SystemTime::now())?;
    }
    Ok(told(&machine.store.install(&release, &seal, bad)?))
}

/// What became of a release, for people.
fn told(installed: &Installed) -> String {
    match installed {
        Installed::New(entry) => format!("installed {entry}; it is tried at the next boot\n"),
        Installed::Resealed(entry) => format!("{entry} has a newer seal now\n"),
        Installed::Retried(entry) => format!("{entry} is tried again at the next boot\n"),
        Installed::Already(entry) => format!("{entry} is installed already\n"),
        Installed::Mended(entry) => {
            format!("{entry} has new files; a running image uses them from the next boot on\n")
        }
    }
}

/// A clock that is wrong is no reason against who insists.
fn check_age(best_before: Option<u64>, now: SystemTime) -> Result<(), Failure> {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    match best_before {
        Some(end) if end < now => Err(Failure::Cause(format!(
            "pintlectl: cannot install release: it was to be installed before {end}, and it is {now} \
             (seconds since 1970); --force installs it all the same"
        ))),
        Some(_) | None => Ok(()),
    }
}

/// For images with another init, which alone knows whether the machine is well.
fn bless() -> Result<String, Failure> {
    let machine = Machine::here()?;
    let good = machine.bless()?;
    machine.tidy()?;
    Ok(format!("{good} is good\n"))
}

fn ask(how: How) -> Result<String, Failure> {
    send(Pid::INIT, how.signal()).map_err(|error| {
        Failure::Cause(format!("pintlectl: cannot signal PID 1: {}", error.errno))
    })?;
    Ok(String::new())
}

fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value);
    text.map(|text| text + "\n").map_err(|cause| Failure::Cause(cause.to_string()))
}

fn print(text: &str) -> Result<(), Failure> {
    let written = io::stdout().write_all(text.as_bytes());
    written.map_err(|cause| Failure::Cause(format!("cannot write to standard output: {cause}")))
}

fn complain(text: &str, status: u8) -> ExitCode {
    // With standard error gone too, the exit status still tells.
    io::stderr().write_all(text.as_bytes()).unwrap_or_default();
    ExitCode::from(status)
}

impl<E: Into<store::Error>> From<E> for Failure {
    fn from(cause: E) -> Self {
        refused(&cause.into())
    }
}

fn refused(cause: &dyn std::fmt::Display) -> Failure {
    Failure::Cause(format!("pintlectl: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_word_that_is_wrong_is_named() {
        let table = [
            (vec![], "expected a command"),
            (vec!["stauts"], "there is no command \"stauts\""),
            (vec!["status", "--jsn"], "status: did not expect \"--jsn\""),
            (vec!["reboot", "now"], "reboot: did not expect \"now\""),
            (vec!["repair", "--form", "a"], "repair: did not expect \"--form\""),
            (vec!["repair", "--from"], "repair: --from needs an argument"),
            (vec!["repair", "--from", "a", "b", "c"], "repair: did not expect \"c\""),
            (vec!["install"], "install: expected a release's directory"),
            (vec!["install", "--force"], "install: expected a release's directory"),
            (vec!["install", "a", "b"], "install: did not expect \"b\""),
            (vec!["install", "--force", "a", "b"], "install: did not expect \"b\""),
            (vec!["install", "--foce"], "install: did not expect \"--foce\""),
        ];
        for (words, expected) in table {
            assert_eq!(complaint(&words), expected);
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            assert!(matches!(command(&words), Err(Failure::Usage(_))), "{words:?}");
        }
    }

    #[test]
    fn a_release_that_is_past_its_time_is_not_installed() {
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        assert!(check_age(Some(999), now).is_err());
        assert!(check_age(Some(1000), now).is_ok() && check_age(None, now).is_ok());
    }
}
