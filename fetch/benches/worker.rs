//! Prints how fast the worker makes a gibibyte's image, whichever way it comes, beside copying and hashing the same bytes
//! with `cp` and `sha256sum`, and how much memory it has meanwhile.
//!
//! `cargo bench -p pintle-fetch`. Aim: 70 % of the speed or more, 64 MiB or less. As root, for the worker runs as nobody.

#![allow(clippy::unwrap_used, reason = "what fails here ends the benchmark")]

#[path = "../tests/worker/published.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod published;
#[path = "../../registry/tests/client/registry.rs"]
#[allow(dead_code, reason = "the client's tests use the rest")]
mod registry;
#[path = "../tests/worker/starter.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod starter;
#[path = "../../transfer/tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use published::{Published, with_delta};
use support::{image, release};

const BLOCKS: u64 = 1 << 18;

/// Of so many blocks one stretch is new.
const STRETCH: u64 = 1 << 12;

/// Odd, so that there is a median.
const ROUNDS: usize = 3;

fn main() {
    let new = image(0..BLOCKS);
    let old = image((0..BLOCKS).map(|n| if n / 64 % (STRETCH / 64) == 0 { n + BLOCKS } else { n }));
    let published = Published::new(release(new));
    println!("medians of {ROUNDS}, 1 GiB       s   of cp + sha256sum   KiB");
    let baseline = median(std::array::from_fn(|_| copy_and_hash(&published.release.image)));
    println!("cp + sha256sum         {:8.2}", baseline.as_secs_f64());
    report("all of it", &published, &[], baseline);
    report("blocks", &published, &old, baseline);
    report("delta", &Published::new(with_delta(published.release, &old)), &old, baseline);
}

/// The program that is started.
fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_pintle-fetch")
}

fn report(way: &str, published: &Published, old: &[u8], baseline: Duration) {
    let mut peaks = 0;
    let times = std::array::from_fn(|_| {
        let machine = published.machine(old);
        let begun = Instant::now();
        let (heard, peak) = published.fetch(&machine, &published.host()).hear_and_watch();
        let took = begun.elapsed();
        published.is_fetched(&machine, &heard);
        peaks = peak.max(peaks);
        took
    });
    let took = median(times);
    let ratio = baseline.as_secs_f64() / took.as_secs_f64();
    println!("{way:22} {:8.2} {:15.0} % {:8}", took.as_secs_f64(), ratio * 100.0, peaks >> 10);
}

fn copy_and_hash(image: &[u8]) -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| folder.path().join(name));
    std::fs::write(&from, image).unwrap();
    let begun = Instant::now();
    run(Command::new("cp").arg("--reflink=never").arg("--sparse=never").args([&from, &to]));
    run(Command::new("sha256sum").arg::<&Path>(&to));
    begun.elapsed()
}

fn run(command: &mut Command) {
    let ended = command.output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

fn median(mut times: [Duration; ROUNDS]) -> Duration {
    times.sort_unstable();
    times[ROUNDS / 2]
}
