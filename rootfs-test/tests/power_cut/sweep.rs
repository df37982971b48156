//! Each state that a cut could have left of a recording is tried.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use pintle_rootfs_test::power_cut::act::Act;
use pintle_rootfs_test::power_cut::cut::{Cut, Spread};
use pintle_rootfs_test::power_cut::disk::Disk;
use pintle_rootfs_test::power_cut::machine::Machine;
use pintle_rootfs_test::power_cut::seen::Seen;
use pintle_update::{BadSeals, Emptied};
use pintle_verify::Digest;

use crate::rule::Rule;
use crate::scene::{OPTIONS, Recorded};
use crate::scenes::{NEXT, Releases};

/// What became of a recording's states.
#[derive(Default)]
pub(crate) struct Swept {
    pub(crate) states: BTreeSet<Digest>,
    pub(crate) failures: Vec<String>,
}

impl Swept {
    /// Takes up what became of a scene's.
    pub(crate) fn add(&mut self, scene: &str, other: Swept) {
        self.states.extend(other.states);
        self.failures.extend(other.failures.iter().map(|failure| format!("{scene}: {failure}")));
    }
}

/// A state, and which act it is in: before the first, in one, or after the last.
pub(crate) struct Job {
    pub(crate) cut: Cut,
    pub(crate) window: usize,
    pub(crate) digest: Digest,
}

/// States of each position; more where the environment asks for it.
pub(crate) fn spread() -> Spread {
    let more = std::env::var("PINTLE_POWER_CUT_SPREAD").ok().and_then(|text| text.parse().ok());
    let times = more.unwrap_or(1) * 4;
    Spread { subsets: times, torn: times }
}

/// Tries all of them, on as many disks as there are processors.
pub(crate) fn sweep(recorded: &Recorded, releases: &Releases, spread: Spread) -> Result<Swept> {
    let jobs = jobs(recorded, spread);
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let workers = std::thread::available_parallelism()?.get();
    let done: Vec<Result<()>> = std::thread::scope(|scope| {
        let work = || -> Result<()> {
            let disk = Disk::new(recorded.tape.base.len() as u64)?;
            while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(error) = survive(recorded, job, &disk, releases) {
                    let failure = format!("{}: {error:#}", describe(recorded, job));
                    failures.lock().unwrap().push(failure);
                }
            }
            Ok(())
        };
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    done.into_iter().collect::<Result<()>>()?;
    let states = jobs.iter().map(|job| job.digest).collect();
    Ok(Swept { states, failures: failures.into_inner().unwrap() })
}

/// The first state that breaks the rule, looked for at the ends of acts first: a sync that is missing shows there.
pub(crate) fn first_failure(
    recorded: &Recorded,
    act: usize,
    disk: &Disk,
    releases: &Releases,
) -> Option<String> {
    let mut jobs = jobs(recorded, Spread { subsets: 2, torn: 0 });
    jobs.retain(|job| job.window > act);
    jobs.iter().rev().find_map(|job| {
        let error = survive(recorded, job, disk, releases).err()?;
        Some(format!("{}: {error:#}", describe(recorded, job)))
    })
}

/// The distinct states, each in its window.
pub(crate) fn jobs(recorded: &Recorded, spread: Spread) -> Vec<Job> {
    let mut known = BTreeSet::new();
    let mut jobs = Vec::new();
    for window in 0..=recorded.marks.len() {
        let positions = recorded.window(window);
        for cut in recorded.tape.cuts(positions, spread, window as u64 + 1) {
            let digest = recorded.tape.digest(&cut);
            if known.insert((window, digest)) {
                jobs.push(Job { cut, window, digest });
            }
        }
    }
    jobs
}

impl Recorded {
    /// The positions before the first mark, between two marks, or after the last.
    fn window(&self, window: usize) -> std::ops::RangeInclusive<usize> {
        let end = self.tape.entries.len();
        let mark = |index: usize| self.marks.get(index).map_or(end, |(position, _)| *position);
        if window == 0 { 0..=mark(0) } else { mark(window - 1)..=mark(window) }
    }

    /// What was there before and after the window.
    pub(crate) fn rule(&self, window: usize) -> Rule<'_> {
        let last = self.marks.len() - 1;
        let seen = |index: usize| &self.marks[index.min(last)].1;
        Rule { before: seen(window.saturating_sub(1)), after: seen(window) }
    }
}

fn describe(recorded: &Recorded, job: &Job) -> String {
    let act = job.window.checked_sub(1).and_then(|index| recorded.acts.get(index));
    format!("{act:?} {:?}", job.cut)
}

/// Mounts a state, looks at it, boots it, and updates it.
fn survive(recorded: &Recorded, job: &Job, disk: &Disk, releases: &Releases) -> Result<()> {
    let rule = recorded.rule(job.window);
    let mounted = disk.mount(&recorded.tape.content(&job.cut))?;
    let now = Seen::look(mounted.root()).context("looking")?;
    rule.check(&now)?;
    let machine = Machine::open(mounted.root())?;
    let running = machine.boot().context("booting")?;
    rule.may_boot(running.sequence())?;
    let booted = Seen::look(mounted.root())?;
    ensure!(booted.known().floor >= now.known().floor, "the boot lowers the floor");
    check_data(recorded, &now, &booted)?;
    update(&machine, releases, job).context("updating")?;
    drop(machine);
    mounted.leave()?;
    Ok(())
}

/// A boot leaves the data alone, or resets it where that is wished for.
fn check_data(recorded: &Recorded, now: &Seen, booted: &Seen) -> Result<()> {
    if !now.is_wished_for() {
        ensure!(booted.data == now.data || now.data.is_empty(), "the boot changes data");
        return Ok(());
    }
    let reset = recorded.reset.as_ref().context("no act carries the reset out")?;
    ensure!(booted.data == *reset, "the reset keeps {:?}", booted.data.keys());
    Ok(())
}

/// The next update, from a file or as from a registry, boots; and what was deleted can be cleared away.
fn update(machine: &Machine, releases: &Releases, job: &Job) -> Result<()> {
    match job.digest.as_bytes()[0] % 2 {
        0 => drop(machine.install(releases.path(NEXT), BadSeals::Refuse)?),
        _ => drop(machine.fetch(releases.path(NEXT))?),
    }
    let running = machine.boot()?;
    ensure!(running.sequence() == NEXT, "{running} boots after the update");
    while machine.store.empty_trash(usize::MAX - 1)? == Emptied::InPart {}
    Ok(())
}

/// What becomes of one of so many states: a second cut, while it is booted and updated.
const SECOND_CUT_EVERY: usize = 10;

/// Boots and updates a sample of a recording's states on a disk that is recorded again, and tries what a cut leaves of that.
pub(crate) fn sweep_recoveries(recorded: &Recorded, releases: &Releases) -> Result<Swept> {
    let mut all = Swept::default();
    let few = Spread { subsets: 1, torn: 1 };
    for job in jobs(recorded, spread()).iter().step_by(SECOND_CUT_EVERY) {
        let base = recorded.tape.content(&job.cut);
        // One that needs a repair first is not mounted by mount(8) alone.
        let Ok(again) = crate::scene::record(base, &recovery(releases), OPTIONS) else {
            continue;
        };
        let mut swept = sweep(&Recorded { reset: recorded.reset.clone(), ..again }, releases, few)?;
        let cut = describe(recorded, job);
        all.failures
            .extend(swept.failures.drain(..).map(|failure| format!("{cut}, then {failure}")));
        all.states.append(&mut swept.states);
    }
    Ok(all)
}

/// What a machine does after a cut.
fn recovery(releases: &Releases) -> Vec<Act> {
    let next = releases.path(NEXT).to_owned();
    vec![Act::Prepare, Act::Reset, Act::Judge, Act::CountNext, Act::MarkNext, Act::Fetch(next)]
}
