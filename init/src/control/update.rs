//! `pintlectl update` and `pintlectl repair`.

use std::io::{IsTerminal, Write};

use pintle_update::worker::Said;
use pintle_update::{BadSeals, EntryName};

use super::entries::{named, say_first};
use super::{Failure, Format, How, ask, json, refused, told};
use crate::store::Machine;
use crate::update::source::Origin;
use crate::update::status::Status;
use crate::update::{Candidate, News, Standing, Updater, scrub};

/// What the command line asks for.
#[derive(Clone, PartialEq, Debug)]
struct Wish {
    extent: Extent,
    origin: Option<Origin>,
    bad: BadSeals,
}

/// How far to go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Extent {
    Check,
    Download,
    Install,
    Apply,
}

/// Carries out `pintlectl update`.
pub(super) fn run(words: &[&str]) -> Result<String, Failure> {
    let wish = parse(words)?;
    let mut updater = updater()?;
    let origin = match wish.origin {
        Some(origin) => origin,
        None => followed(&updater)?,
    };
    let candidate = found(&mut updater, &origin)?;
    let standing = updater.standing(&candidate).map_err(failed)?;
    if wish.extent == Extent::Check {
        return Ok(checked(&candidate, &standing));
    }
    say_what_boots(&updater, &candidate, (&standing, wish.extent))?;
    let mut progress = Progress::new();
    let mut heard = |said: &Said| progress.show(said);
    let release = (&origin, &candidate);
    let text = match wish.extent {
        Extent::Download => {
            updater.download(release, wish.bad, &mut heard).map_err(failed)?;
            "fetched; pintlectl update installs it\n".to_owned()
        }
        Extent::Check | Extent::Install | Extent::Apply => {
            told(&updater.install(release, wish.bad, &mut heard).map_err(failed)?)
        }
    };
    progress.end();
    match wish.extent {
        Extent::Apply if updater.machine.staged()?.is_some() => {
            ask(How::Reboot)?;
            Ok(text)
        }
        Extent::Apply => Ok(text + "there is nothing to reboot into\n"),
        Extent::Check | Extent::Download | Extent::Install => Ok(text),
    }
}

/// Fetches what is damaged of an entry: from where it came, or from a directory or an archive.
pub(super) fn repair(wanted: Option<&str>, from: Option<&str>) -> Result<String, Failure> {
    let mut updater = updater()?;
    let entries = updater.machine.store.entries()?.entries;
    let entry = match wanted {
        Some(name) => named(&entries, name)?,
        None => updater.machine.running()?,
    };
    say_first(&format!("{entry} boots as before; its files are made anew"))?;
    let origin = match from {
        Some(path) => Origin::File(path.to_owned()),
        None => Origin::Registry(origin_of(&updater, &entry)?),
    };
    let candidate = found(&mut updater, &origin)?;
    if !entry.agrees_with(&candidate.seal) {
        return Err(refused(&format!("{origin} is not the release of {entry}")));
    }
    let mut progress = Progress::new();
    let mended = updater
        .repair(&entry, (&origin, &candidate), &mut |said| progress.show(said))
        .map_err(failed)?;
    progress.end();
    Ok(told(&mended))
}

/// Reads the running image again.
pub(super) fn scrub() -> Result<String, Failure> {
    let damaged = scrub::whole(&Machine::here()?)?;
    match scrub::told(&damaged) {
        None => Ok("every block is what was signed\n".to_owned()),
        Some(text) => Err(refused(&text)),
    }
}

/// What the updater knows.
pub(super) fn status(format: Format) -> Result<String, Failure> {
    let status = Status::read().map_err(|cause| {
        refused(&format!(
            "cannot read what the updater knows: {cause}; does the service pintle-update run?"
        ))
    })?;
    match format {
        Format::Json => json(&status),
        Format::Table => Ok(status.table()),
    }
}

fn parse(mut words: &[&str]) -> Result<Wish, Failure> {
    let mut wish = Wish { extent: Extent::Install, origin: None, bad: BadSeals::Refuse };
    loop {
        let extent = match words.first() {
            None => return Ok(wish),
            Some(&"--check") => Some(Extent::Check),
            Some(&"--download") => Some(Extent::Download),
            Some(&"--apply") => Some(Extent::Apply),
            Some(_) => None,
        };
        words = match (words, extent) {
            ([_, rest @ ..], Some(extent)) if wish.extent == Extent::Install => {
                wish.extent = extent;
                rest
            }
            (["--to", reference, rest @ ..], _) if wish.origin.is_none() => {
                wish.origin = Some(Origin::Registry((*reference).to_owned()));
                rest
            }
            (["--from", path, rest @ ..], _) if wish.origin.is_none() => {
                wish.origin = Some(Origin::File((*path).to_owned()));
                rest
            }
            (["--force", rest @ ..], _) => {
                wish.bad = BadSeals::Install;
                rest
            }
            (words, _) => return Err(unexpected(words)),
        };
    }
}

fn unexpected(words: &[&str]) -> Failure {
    Failure::Usage(match words {
        ["--to" | "--from"] => format!("update: {} needs an argument", words.join(" ")),
        [word, ..] => format!("update: did not expect \"{word}\""),
        [] => "update: did not expect the end".to_owned(),
    })
}

fn updater() -> Result<Updater, Failure> {
    Updater::here().map_err(failed)
}

fn followed(updater: &Updater) -> Result<Origin, Failure> {
    let settings = updater.settings.as_ref().ok_or_else(|| {
        refused(
            &"the image follows no tag: set `from` in [update] when it is built, or say --to REFERENCE",
        )
    })?;
    Ok(Origin::Registry(settings.from.to_string()))
}

fn origin_of(updater: &Updater, entry: &EntryName) -> Result<String, Failure> {
    let origin = updater.machine.store.open_entry(entry)?.origin;
    origin.ok_or_else(|| {
        refused(&format!(
            "{entry} did not come from a registry; pintlectl repair --from PATH takes its release from an OCI layout"
        ))
    })
}

fn found(updater: &mut Updater, origin: &Origin) -> Result<Candidate, Failure> {
    match updater.check(origin).map_err(failed)? {
        News::Release(candidate) => Ok(*candidate),
        News::Unchanged => Err(refused(&"the registry says that nothing has changed")),
    }
}

fn checked(candidate: &Candidate, standing: &Standing) -> String {
    let (version, sequence) = (&candidate.seal.version, candidate.seal.sequence);
    match standing {
        Standing::Newer => format!("{version} (sequence {sequence}) is new\n"),
        Standing::Installed(entry) => format!("{version} is here: {entry}\n"),
        Standing::Older => format!("{version} (sequence {sequence}) is older than what is here\n"),
    }
}

fn say_what_boots(
    updater: &Updater,
    candidate: &Candidate,
    (standing, extent): (&Standing, Extent),
) -> Result<(), Failure> {
    let running = updater.machine.running()?;
    match standing {
        Standing::Newer if extent == Extent::Download => {
            say_first("what boots next stays as it is; what is fetched is not installed yet")
        }
        Standing::Newer => say_first(&format!(
            "{}_{} boots next, on trial; if it fails, {running} does",
            candidate.seal.sequence, candidate.seal.version
        )),
        Standing::Installed(_) | Standing::Older => Ok(()),
    }
}

/// What the worker does, for whoever waits for it: a line that changes on a terminal, else a line a tenth.
struct Progress {
    terminal: bool,
    tenths: u64,
}

impl Progress {
    fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), tenths: 0 }
    }

    fn show(&mut self, said: &Said) {
        match said {
            Said::Way(way) => self.line(&pintle_update::worker::printable(way), "\n"),
            Said::Progress { blocks, of, received } => {
                let text = format!(
                    "{:>3} %  {} of {} MiB, {received} bytes received",
                    blocks.saturating_mul(100) / (*of).max(1),
                    blocks / 256,
                    of / 256
                );
                self.advance(blocks.saturating_mul(10) / (*of).max(1), &text);
            }
            Said::Unchanged { .. }
            | Said::Checked(_)
            | Said::Fetched { .. }
            | Said::Spent { .. }
            | Said::Failed(_) => {}
        }
    }

    fn advance(&mut self, tenths: u64, text: &str) {
        if self.terminal {
            self.line(&format!("\r{text}"), "");
        } else if tenths > self.tenths {
            self.tenths = tenths;
            self.line(text, "\n");
        }
    }

    fn end(&self) {
        if self.terminal {
            self.line("", "\n");
        }
    }

    /// Nobody may be looking any more.
    fn line(&self, text: &str, end: &str) {
        write!(std::io::stderr(), "{text}{end}").unwrap_or_default();
    }
}

fn failed(cause: crate::update::Error) -> Failure {
    refused(&cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extent_and_the_origin_are_said_once() {
        let wish = parse(&["--to", "r.example.com/os:v2", "--apply"]).ok().unwrap();
        let origin = Some(Origin::Registry("r.example.com/os:v2".into()));
        assert_eq!(wish, Wish { extent: Extent::Apply, origin, bad: BadSeals::Refuse });
        let table = [
            &["--check", "--apply"][..],
            &["--to"],
            &["--from"],
            &["--to", "a", "--from", "b"],
            &["v2"],
        ];
        for words in table {
            assert!(matches!(parse(words), Err(Failure::Usage(_))), "{words:?}");
        }
    }
}
