//! From the kernel's exec of `/init` to the first service, in guest time that counts instructions: pintle beside a C
//! program that does just the system calls and a shell script with busybox and veritysetup, on the same kernel, disk and
//! image in one run.
//!
//! `cargo bench -p pintle-rootfs-test --bench boot`.
#![forbid(unsafe_code)]

use std::fs;

use anyhow::{Context, Result, ensure};
use pintle_rootfs_test::cargo::Binary;
use pintle_rootfs_test::yardstick::{Ground, Side, logged_at, median};
use pintle_rootfs_test::{Base, ContainerImage, Kernel, Keys, Release, Series};

/// The service: it tells the kernel's log that it runs, shows when that was, and ends the machine.
const PROBE: &str = "#!/bin/sh
echo pintle-bench-ready > /dev/kmsg
dmesg | grep -e 'Run /init' -e pintle-bench-ready > /dev/ttyS0
poweroff -f
";

const PROBE_PATH: &str = "usr/libexec/probe";

const SERVICE: &str = r#"
[service.probe]
command = ["/usr/libexec/probe"]
essential = true
"#;

/// What is promised of a side, as a share of the C program's time (SPECIFICATION.md).
const PROMISED: [(&str, f64); 2] = [("pintle, dm-verity", 1.05), ("pintle, fs-verity", 0.7)];

fn main() -> Result<()> {
    let ground = ground()?;
    let folder = tempfile::tempdir()?;
    println!("{:<20} {:>10} {:>8} {:>14}", "", "ready, ms", "to C", "initramfs, KiB");
    let (mut yardstick, mut broken) = (None, Vec::<&(&str, f64)>::new());
    for side in ground.sides(folder.path())? {
        let ready = time(&ground, &side).context(side.name)?;
        let ratio = ready / *yardstick.get_or_insert(ready);
        let size = fs::metadata(&side.initrd)?.len() / 1024;
        println!("{:<20} {ready:>10.1} {ratio:>8.2} {size:>14}", side.name);
        broken.extend(PROMISED.iter().filter(|(name, most)| *name == side.name && ratio > *most));
    }
    println!("pintle-init: {} bytes", fs::metadata(Binary::Init.build()?)?.len());
    ensure!(broken.is_empty(), "slower than promised: {broken:?}");
    Ok(())
}

fn ground() -> Result<Ground> {
    let (kernel, keys) = (Kernel::fetch(Series::Linux6_12)?, Keys::of("builder")?);
    let image = ContainerImage::with_nothing(Base::Busybox, "1.0.0");
    let image = image.file(PROBE_PATH, 0o755, PROBE).service("probe", SERVICE);
    let release = Release::build(&image, 1, &keys)?;
    Ok(Ground { kernel, keys, release, service: PROBE_PATH })
}

/// In milliseconds.
fn time(ground: &Ground, side: &Side) -> Result<f64> {
    let disk = ground.disk()?;
    let vm = ground.vm(side, &disk);
    let boot = || {
        let mut machine = vm.boot()?;
        machine.wait_for_end()?;
        let console = machine.console();
        Ok(logged_at(&console, "pintle-bench-ready")? - logged_at(&console, "Run /init")?)
    };
    median(boot, |time| *time)
}
