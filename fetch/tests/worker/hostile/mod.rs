//! Registries that lie, stall, flood and send elsewhere: each is a row of a table, and each ends with one reason, within the
//! limits of time, requests, bytes and memory, with no other host told a secret, and nothing wrong written.

mod answers;
mod documents;
mod elsewhere;
mod hosts;
mod most;
mod moved;
mod resets;
mod shelf;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use pintle_update::worker::{self, Checked, Failed, Job, Outlook, Said, Task};
use pintle_verify::{Architecture, Digest, KeySet, SigningKey};

use crate::network;
use crate::published::{files, prepared, registry, with_delta};
use crate::starter::Worker;
use crate::support::{Machine, Release, image, release};
use hosts::Hosts;
use most::Most;
use shelf::{PASSWORD, Shelf, Talk};

/// All of the worker's address space.
const MEMORY: u64 = 64 << 20;

/// Names that the table must have at least.
const ROWS_MIN: usize = 110;

/// As many as wait for their time to be over.
const AT_ONCE: usize = 16;

/// Of time for a job, and of silence, in milliseconds.
struct Limits {
    total: u64,
    stall: u64,
}

/// Where time is to be what ends it.
const SHORT: Limits = Limits { total: 2500, stall: 300 };

/// Where something else is, however slow the machine.
const LONG: Limits = Limits { total: 300_000, stall: 60_000 };

/// What the worker is to do.
#[derive(Clone, Copy)]
enum Wanted {
    Check,
    /// With nothing here.
    Fetch,
    /// With an older image here, and no delta.
    FetchBlocks,
    /// With an older image here, for which there is a delta.
    FetchDelta,
    /// What a check has found.
    CheckThenFetch,
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Index,
    Manifest,
    Seal,
    Tree,
    Frames,
    Delta,
    Token,
}

/// How a registry misbehaves.
#[derive(Clone, Copy)]
enum How {
    /// It answers this question in another way; the connection goes on if that says so.
    Answers(Step, Answers),
    /// It has other documents than those that `pintle push` makes.
    Has(fn(&mut Shelf)),
}

type Answers = fn(&mut Talk<'_>) -> Then;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    GoOn,
    Close,
    /// Closes with a reset: nothing that is still to be sent is.
    Reset,
}

/// What comes of it.
enum Ends {
    /// With an error that says this, or one of these, with a bar between them.
    For(&'static str, Outlook),
    /// As if nothing had been.
    Well,
}

struct Row {
    name: &'static str,
    wanted: Wanted,
    how: How,
    ends: Ends,
    most: Most,
}

#[test]
fn whatever_a_registry_does_ends_within_the_limits_and_for_one_reason() {
    network::enter();
    let tables =
        [answers::rows(), resets::rows(), elsewhere::rows(), moved::rows(), documents::rows()];
    let rows: Vec<Row> = tables.into_iter().flatten().collect();
    assert!(rows.len() >= ROWS_MIN, "{}", rows.len());
    let next = AtomicUsize::new(0);
    let failures: Vec<String> = thread::scope(|scope| {
        let work = || {
            let mine = std::iter::from_fn(|| rows.get(next.fetch_add(1, Ordering::SeqCst)));
            mine.filter_map(|row| row.try_it().err().map(|why| format!("{}: {why}", row.name)))
                .collect::<Vec<_>>()
        };
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), rows.len(), failures.join("\n"));
    println!("{} registries", rows.len());
}

impl Row {
    /// At most so often, and not as [`Most::until`] says.
    fn asks(mut self, requests: usize) -> Self {
        self.most.requests = requests;
        self
    }

    /// At most so many bytes, and not as [`Most::until`] says.
    fn takes(mut self, bytes: u64) -> Self {
        self.most.bytes = bytes;
        self
    }

    fn try_it(&self) -> Result<(), String> {
        let old = old_image();
        let shelf = Arc::new(self.shelf(&old));
        let hosts = Hosts::open(&shelf, self.lie());
        let machine = prepared(&shelf.release, if self.has_old_image() { &old } else { &[] });
        let heard = self.hear(&hosts.registry(), &shelf, &machine);
        self.judge(&heard, &machine, &shelf.release)?;
        hosts.kept_secrets()?;
        self.most.allows(hosts.requests(), shelf.sent())
    }

    fn shelf(&self, old: &[u8]) -> Shelf {
        let release = release(new_image());
        let mut shelf = Shelf::of(match self.wanted {
            Wanted::FetchBlocks => release,
            _ => with_delta(release, old),
        });
        if let How::Has(change) = self.how {
            change(&mut shelf);
        }
        shelf
    }

    fn lie(&self) -> Option<(Step, Answers)> {
        match self.how {
            How::Answers(at, answers) => Some((at, answers)),
            How::Has(_) => None,
        }
    }

    fn has_old_image(&self) -> bool {
        matches!(self.wanted, Wanted::FetchBlocks | Wanted::FetchDelta)
    }

    /// What the worker says.
    fn hear(&self, host: &str, shelf: &Shelf, machine: &Machine) -> Vec<Said> {
        match self.wanted {
            Wanted::Check => self.check(host),
            Wanted::CheckThenFetch => self.check_then_fetch(host, machine),
            Wanted::Fetch | Wanted::FetchBlocks | Wanted::FetchDelta => {
                let found = (shelf.manifest_digest(), shelf.release.seal_file.clone());
                self.fetch(host, found, machine)
            }
        }
    }

    fn check_then_fetch(&self, host: &str, machine: &Machine) -> Vec<Said> {
        let heard = self.check(host);
        let Some(Said::Checked(Checked { release: Some(found), .. })) = heard.last() else {
            panic!("{}: {heard:?}", self.name)
        };
        self.fetch(host, (found.manifest, found.seal.clone()), machine)
    }

    fn check(&self, host: &str) -> Vec<Said> {
        let task = Task::Check { architecture: Architecture::X86_64, known: None };
        Worker::start(&self.job(host, task), &[], Some(MEMORY)).hear()
    }

    fn fetch(
        &self,
        host: &str,
        (manifest, seal): (Digest, Vec<u8>),
        machine: &Machine,
    ) -> Vec<Said> {
        let keys = KeySet::new(vec![SigningKey::generate(&[1; 32]).public()], 1).unwrap();
        let sources = machine.sources.iter().map(|source| source.root_hash).collect();
        let task = Task::Fetch { manifest, seal, keys: keys.to_bytes(), sources, budget: None };
        Worker::start(&self.job(host, task), &files(machine), Some(MEMORY)).hear()
    }

    fn job(&self, host: &str, task: Task) -> Job {
        let limits = self.limits();
        let registry = worker::Registry {
            credentials: Some(password_for(host)),
            total_limit: limits.total,
            stall_limit: limits.stall,
            ..registry(host)
        };
        Job { source: worker::Source::Registry(Box::new(registry)), task }
    }

    fn limits(&self) -> Limits {
        match self.ends {
            Ends::For(reason, _) if reason.contains("timed out") => SHORT,
            Ends::For(..) | Ends::Well => LONG,
        }
    }

    fn judge(&self, heard: &[Said], machine: &Machine, release: &Release) -> Result<(), String> {
        machine.has_nothing_wrong(release);
        let ends = heard.iter().filter(|said| said.is_the_end()).count();
        if ends != 1 {
            return Err(format!("{ends} last words: {heard:?}"));
        }
        match (&self.ends, heard.last()) {
            (Ends::For(reason, outlook), Some(Said::Failed(failed))) => {
                is(failed, reason, *outlook)
            }
            (Ends::Well, Some(Said::Fetched { .. })) => {
                machine.has(release);
                Ok(())
            }
            (Ends::Well, Some(Said::Checked(found))) if found.release.is_some() => Ok(()),
            (_, last) => Err(format!("{last:?}")),
        }
    }
}

fn is(failed: &Failed, reason: &str, outlook: Outlook) -> Result<(), String> {
    let clean = !failed.text.chars().any(char::is_control);
    let says = reason.split('|').any(|one| !one.is_empty() && failed.text.contains(one));
    match says && failed.outlook == outlook && clean {
        true => Ok(()),
        false => Err(format!("{failed:?}")),
    }
}

/// As docker's `config.json` has it.
fn password_for(host: &str) -> Vec<u8> {
    format!("{{\"auths\":{{\"{host}\":{{\"auth\":\"{PASSWORD}\"}}}}}}").into_bytes()
}

fn new_image() -> Vec<u8> {
    image((0..600).map(|number| number + 1))
}

fn old_image() -> Vec<u8> {
    image((0..600).map(|number| if number % 30 == 0 { number + 10_000 } else { number + 1 }))
}
