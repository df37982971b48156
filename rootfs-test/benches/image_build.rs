//! `pintle build` beside the chain of tools that it replaces, on the same container image in one
//! run: umoci unpack, mkfs.erofs, veritysetup format.
//!
//! `cargo bench -p pintle-rootfs-test --bench image_build [-- oci:DIR:TAG]`; without an image it
//! makes the Debian one. As root, because umoci's ids and devices are root's to make.
#![forbid(unsafe_code)]

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use pintle_rootfs_test::cargo::Binary;
use pintle_rootfs_test::host::{program, run};
use pintle_rootfs_test::{Base, ContainerImage, Keys};
use serde::{Deserialize, Serialize};

/// Odd, so that there is a median.
const ROUNDS: usize = 5;

/// By this word the program measures another one: the kernel accounts for the children of a whole
/// process, so each command gets a process of its own that waits for nothing else.
const MEASURE: &str = "--measure";

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).filter(|word| word != "--bench").collect();
    match arguments.split_first() {
        Some((word, command)) if word == MEASURE => measure(command),
        Some((source, _)) => compare(source),
        None => compare(&ContainerImage::of(Base::Debian, "1.0.0").oci()?),
    }
}

/// What running something cost.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Cost {
    wall: Duration,
    cpu: Duration,
    /// KiB at most resident in any process.
    memory: u64,
}

fn compare(source: &str) -> Result<()> {
    println!("{source}, medians of {ROUNDS}");
    let image = source.strip_prefix("oci:").context("expected oci:DIR:TAG")?;
    let ours = [pintle(source)?];
    let chain = [
        umoci(image),
        words(&["mkfs.erofs", "--quiet", "--chunksize=4096", "root.img", "bundle/rootfs"]),
        words(&["veritysetup", "format", "root.img", "root.tree"]),
    ];
    let (mut our_costs, mut chain_costs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        our_costs.push(total(&ours)?);
        chain_costs.push(total(&chain)?);
    }
    let (ours, chain) = (median(&our_costs), median(&chain_costs));
    println!("{:24}{:>10}{:>10}{:>12}", "", "wall ms", "CPU ms", "peak KiB");
    print_cost("pintle build", ours);
    print_cost("umoci, mkfs, veritysetup", chain);
    println!(
        "{:24}{:>10.2}{:>10.2}{:>12.2}",
        "ratio",
        ours.wall.as_secs_f64() / chain.wall.as_secs_f64(),
        ours.cpu.as_secs_f64() / chain.cpu.as_secs_f64(),
        ours.memory as f64 / chain.memory as f64
    );
    Ok(())
}

fn print_cost(name: &str, cost: Cost) {
    println!(
        "{name:24}{:>10}{:>10}{:>12}",
        cost.wall.as_millis(),
        cost.cpu.as_millis(),
        cost.memory
    );
}

fn pintle(source: &str) -> Result<Vec<String>> {
    let binary = Binary::Pintle.build()?.display().to_string();
    let key = Keys::of("builder")?.private().display().to_string();
    let fixed = ["--no-system", "--image-id=bench", "--image-version=1", "--output=.", "--key"];
    Ok(words(&[&[&*binary, "build", source][..], &fixed, &[&key]].concat()))
}

fn umoci(image: &str) -> Vec<String> {
    words(&["umoci", "unpack", "--image", image, "bundle"])
}

/// The cost of a series of commands in a fresh directory.
fn total(commands: &[Vec<String>]) -> Result<Cost> {
    let scratch = tempfile::tempdir()?;
    let costs = commands.iter().map(|command| cost(command, scratch.path()));
    let costs: Vec<Cost> = costs.collect::<Result<_>>()?;
    ensure!(fs::metadata(scratch.path().join("root.tree"))?.len() > 0, "no hash tree was made");
    Ok(Cost {
        wall: costs.iter().map(|cost| cost.wall).sum(),
        cpu: costs.iter().map(|cost| cost.cpu).sum(),
        memory: costs.iter().map(|cost| cost.memory).max().unwrap_or_default(),
    })
}

fn cost(command: &[String], directory: &Path) -> Result<Cost> {
    let mut measuring = Command::new(env::current_exe()?);
    let printed = run(measuring.arg(MEASURE).args(command).current_dir(directory))?;
    Ok(serde_json::from_str(&printed)?)
}

fn measure(command: &[String]) -> Result<()> {
    let (name, arguments) = command.split_first().context("no command")?;
    let start = Instant::now();
    run(program(name).args(arguments))?;
    let wall = start.elapsed();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let [user, system] = [usage.user_time(), usage.system_time()]
        .map(|time| Duration::new(time.tv_sec() as u64, 1000 * time.tv_usec() as u32));
    let cost = Cost { wall, cpu: user + system, memory: usage.max_rss() as u64 };
    println!("{}", serde_json::to_string(&cost)?);
    Ok(())
}

/// The medians of each quantity.
fn median(costs: &[Cost]) -> Cost {
    Cost {
        wall: middle(costs.iter().map(|cost| cost.wall)),
        cpu: middle(costs.iter().map(|cost| cost.cpu)),
        memory: middle(costs.iter().map(|cost| cost.memory)),
    }
}

fn middle<T: Ord + Copy>(values: impl Iterator<Item = T>) -> T {
    let mut values: Vec<T> = values.collect();
    values.sort();
    values[values.len() / 2]
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
