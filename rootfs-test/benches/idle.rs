//! What an idle machine with 128 MiB costs: the memory of PID 1, the memory that is left to the system, and the guest time
//! from the request to power off to the kernel's `reboot: Power down`, on the sides of the boot benchmark in one run.
//!
//! Idle means that the one service, the rig's agent, answers, and that pintle has blessed its entry. Every side must leave
//! the state file system clean. The shell script leaves the root and its devices as they are and makes the state file system
//! read-only, as shell scripts do; the others take everything down.
//!
//! `cargo bench -p pintle-rootfs-test --bench idle`.
#![forbid(unsafe_code)]

use anyhow::{Context, Result, ensure};
use pintle_rootfs_test::yardstick::{Ground, Side, logged_at, median};
use pintle_rootfs_test::{Base, ContainerImage, End, Kernel, Keys, Machine, Release, Series};

const MEMORY_MIB: u32 = 128;

const REQUEST: &str = "pintle-bench: power off";

/// All sides power off on busybox' signal. The kernel shows the line on the console although it is quiet.
const POWER_OFF: &str = "echo '<1>pintle-bench: power off' > /dev/kmsg; kill -USR2 1";

/// KiB, except for the time.
struct Idle {
    pss: u64,
    rss: u64,
    free: u64,
    available: u64,
    power_off_ms: f64,
}

/// Milliseconds of guest time that pintle's power-off may take (SPECIFICATION.md).
const PROMISED_MS: f64 = 100.0;

fn main() -> Result<()> {
    let ground = ground()?;
    let folder = tempfile::tempdir()?;
    println!(
        "{:<20} {:>10} {:>10} {:>10} {:>14} {:>14} {:>8}",
        "", "PSS, KiB", "RSS, KiB", "free, KiB", "available, KiB", "power-off, ms", "to C"
    );
    let (mut yardstick, mut broken) = (None, Vec::new());
    for side in ground.sides(folder.path())? {
        let idle = measure(&ground, &side).context(side.name)?;
        let ratio = idle.power_off_ms / *yardstick.get_or_insert(idle.power_off_ms);
        let Idle { pss, rss, free, available, power_off_ms } = idle;
        println!(
            "{:<20} {pss:>10} {rss:>10} {free:>10} {available:>14} {power_off_ms:>14.1} {ratio:>8.2}",
            side.name
        );
        if side.name.starts_with("pintle") && power_off_ms >= PROMISED_MS {
            broken.push(side.name);
        }
    }
    ensure!(broken.is_empty(), "slower than promised: {broken:?}");
    Ok(())
}

fn ground() -> Result<Ground> {
    let (kernel, keys) = (Kernel::fetch(Series::Linux6_12)?, Keys::of("builder")?);
    let release = Release::build(&ContainerImage::of(Base::Busybox, "1.0.0"), 1, &keys)?;
    Ok(Ground { kernel, keys, release, service: "usr/libexec/agent" })
}

fn measure(ground: &Ground, side: &Side) -> Result<Idle> {
    let disk = ground.disk()?;
    let vm = ground.vm(side, &disk).memory_mib(MEMORY_MIB);
    let boot = || {
        let idle = live(side, vm.boot()?)?;
        disk.check()?;
        Ok(idle)
    };
    median(boot, |idle| idle.power_off_ms)
}

fn live(side: &Side, mut machine: Machine) -> Result<Idle> {
    if let Some(event) = side.last_event {
        machine.wait_for(event)?;
    }
    let smaps = machine.run(&["/bin/cat", "/proc/1/smaps_rollup"])?;
    let meminfo = machine.run(&["/bin/cat", "/proc/meminfo"])?;
    machine.order(&["/bin/sh", "-c", POWER_OFF])?;
    ensure!(machine.wait_for_end()? == End::PowerOff, "it did not power off");
    let complaint = machine.reports().iter().find(|report| report.event() == "alert");
    ensure!(complaint.is_none(), "it complained: {complaint:?}");
    let console = machine.console();
    Ok(Idle {
        pss: kib(&smaps, "Pss:")?,
        rss: kib(&smaps, "Rss:")?,
        free: kib(&meminfo, "MemFree:")?,
        available: kib(&meminfo, "MemAvailable:")?,
        power_off_ms: logged_at(&console, "reboot: Power down")? - logged_at(&console, REQUEST)?,
    })
}

/// A field of the tables that proc(5) describes, as in `Pss:  1234 kB`.
fn kib(table: &str, field: &str) -> Result<u64> {
    let line = table.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.with_context(|| format!("no {field} in {table}"))?.parse()?)
}
