//! What each kernel module costs that a boot of pintle loads: guest time of finit_module(2), which is mostly the kernel
//! checking the signature, and which way of checking the root needs it.
//!
//! The list is what `/proc/modules` of the booted machines says; the times are a C program's that loads the same modules in
//! the same order and does nothing else.
//!
//! `cargo bench -p pintle-rootfs-test --bench modules`.
#![forbid(unsafe_code)]

use anyhow::{Context, Result, ensure};
use pintle_rootfs_test::yardstick::{Ground, Side};
use pintle_rootfs_test::{Base, ContainerImage, Kernel, Keys, Release, Series};

/// A module as `/proc/modules` shows it.
#[derive(Clone, PartialEq, Eq)]
struct Module {
    name: String,
    bytes: u64,
}

fn main() -> Result<()> {
    let ground = ground()?;
    let dm = loaded(&ground, &ground.pintle("pintle, dm-verity", "dm")?)?;
    let fs = loaded(&ground, &ground.pintle("pintle, fs-verity", "fs")?)?;
    ensure!(fs.iter().all(|module| dm.contains(module)), "fs-verity loads what dm-verity does not");
    let times = times(&ground, &dm)?;
    println!("{:<20} {:>12} {:>8} {:>8}", "", "memory, KiB", "dm, ms", "fs, ms");
    let mut sums = (0.0, 0.0);
    for (module, time) in dm.iter().zip(&times) {
        let fs_time = if fs.contains(module) { *time } else { 0.0 };
        print_line(&module.name, module.bytes / 1024, (*time, fs_time));
        sums = (sums.0 + time, sums.1 + fs_time);
    }
    print_line("all", dm.iter().map(|module| module.bytes).sum::<u64>() / 1024, sums);
    Ok(())
}

fn print_line(name: &str, memory: u64, (dm, fs): (f64, f64)) {
    println!("{name:<20} {memory:>12} {dm:>8.1} {fs:>8.1}");
}

fn ground() -> Result<Ground> {
    let (kernel, keys) = (Kernel::fetch(Series::Linux6_12)?, Keys::of("builder")?);
    let release = Release::build(&ContainerImage::of(Base::Busybox, "1.0.0"), 1, &keys)?;
    Ok(Ground { kernel, keys, release, service: "usr/libexec/agent" })
}

/// The modules of a booted machine in the order in which they were loaded; the kernel lists the latest first.
fn loaded(ground: &Ground, side: &Side) -> Result<Vec<Module>> {
    let disk = ground.disk()?;
    let mut machine = ground.vm(side, &disk).boot()?;
    let listing = machine.run(&["/bin/cat", "/proc/modules"])?;
    listing.lines().rev().map(module).collect()
}

/// `NAME BYTES USERS ...` (proc(5)).
fn module(line: &str) -> Result<Module> {
    let mut words = line.split_whitespace();
    let (name, bytes) = words.next().zip(words.next()).context("no name and size in the list")?;
    Ok(Module { name: name.to_owned(), bytes: bytes.parse()? })
}

/// In milliseconds.
fn times(ground: &Ground, modules: &[Module]) -> Result<Vec<f64>> {
    let folder = tempfile::tempdir()?;
    let names: Vec<&str> = modules.iter().map(|module| module.name.as_str()).collect();
    let side = ground.module_timer(&names, &folder.path().join("timer"))?;
    let disk = ground.disk()?;
    let mut machine = ground.vm(&side, &disk).boot()?;
    machine.wait_for_end()?;
    let console = machine.console();
    let microseconds = console.lines().filter_map(|line| line.strip_prefix("pintle-bench: "));
    let times = microseconds.map(|number| Ok(number.parse::<f64>()? / 1000.0));
    let times: Vec<f64> = times.collect::<Result<_>>()?;
    ensure!(times.len() == modules.len(), "not every module was loaded:\n{console}");
    Ok(times)
}
