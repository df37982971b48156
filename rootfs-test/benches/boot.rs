//! From the kernel's exec of `/init` to the first service, in guest time that counts instructions: pintle beside a C
//! program that does just the system calls and a shell script with busybox and veritysetup, on the same kernel, disk and
//! image in one run.
//!
//! `cargo bench -p pintle-rootfs-test --bench boot`. An emulated instruction is a nanosecond, so the times repeat on a busy
//! host and are not wall time.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use pintle_rootfs_test::host::{program, run};
use pintle_rootfs_test::initramfs::{add_modules, pack};
use pintle_rootfs_test::{
    Base, Board, ContainerImage, Initrd, Kernel, Keys, Release, Series, State, Vm,
};

const ENTRY: &str = "1_1.0.0";

/// The first service: it tells the kernel's log that it runs, shows when that was, and ends the machine.
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

/// What dm-verity over a loop device, EROFS and an overlay need of Debian's kernel, in load order.
const MODULES: [&str; 9] = [
    "virtio_blk",
    "loop",
    "dm-mod",
    "dm-bufio",
    "reed_solomon",
    "dm-verity",
    "libcrc32c",
    "erofs",
    "overlay",
];

/// What both yardsticks have in their initramfs.
const FOLDERS: [&str; 7] = ["bin", "dev", "proc", "root", "run", "sys", "modules"];

fn main() -> Result<()> {
    let (kernel, keys) = (Kernel::fetch(Series::Linux6_12)?, Keys::of("builder")?);
    let image = ContainerImage::with_nothing(Base::Busybox, "1.0.0");
    let image = image.file(PROBE_PATH, 0o755, PROBE).service("probe", SERVICE);
    let release = Release::build(&image, 1, &keys)?;
    let folder = tempfile::tempdir()?;
    let ours = |verity| Initrd::of(&kernel, &keys).set(&format!("verity={verity}")).make();
    let sides = [
        ("C, dm-verity", in_c(&kernel, &release, folder.path())?),
        ("shell, dm-verity", in_shell(&kernel, &release, folder.path())?),
        ("pintle, dm-verity", ours("dm")?),
        ("pintle, fs-verity", ours("fs")?),
    ];
    println!("{:<20} {:>10} {:>8} {:>14}", "", "ready, ms", "to C", "initramfs, KiB");
    let mut yardstick = None;
    for (name, initrd) in sides {
        let ready = time(&kernel, &release, &initrd).context(name)?;
        let ratio = ready / *yardstick.get_or_insert(ready);
        let size = fs::metadata(&initrd)?.len() / 1024;
        println!("{name:<20} {ready:>10.1} {ratio:>8.2} {size:>14}");
    }
    Ok(())
}

/// Milliseconds of the second boot: the first one makes directories, and lets fs-verity read the image.
fn time(kernel: &Kernel, release: &Release, initrd: &Path) -> Result<f64> {
    let disk = State::new()?.with(ENTRY, release)?.disk()?;
    let vm = Vm::on(Board::Q35, kernel).initrd(initrd).cmdline("quiet").disk(disk.disk());
    let vm = vm.counting_instructions();
    let mut time = Err(anyhow::anyhow!("no boot"));
    for _ in 0..2 {
        let mut machine = vm.boot()?;
        machine.wait_for_end()?;
        time = between(&machine.console());
    }
    time
}

/// The time between two lines of the kernel's log, which begin with `[    1.234567]`.
fn between(console: &str) -> Result<f64> {
    let at = |text: &str| {
        let line = console.lines().find(|line| line.contains(text));
        let line = line.with_context(|| format!("{text:?} is not on the console:\n{console}"))?;
        let (_, stamped) = line.split_once('[').context("no time")?;
        let (time, _) = stamped.split_once(']').context("no time")?;
        Ok::<f64, anyhow::Error>(time.trim().parse()?)
    };
    Ok((at("pintle-bench-ready")? - at("Run /init")?) * 1000.0)
}

fn in_c(kernel: &Kernel, release: &Release, folder: &Path) -> Result<PathBuf> {
    let root = yardstick(kernel, release, &folder.join("c"))?;
    run(program("cc")
        .args(["-O2", "-static", "-o"])
        .arg(root.join("init"))
        .arg(format!("-DPROBE=\"/{PROBE_PATH}\""))
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/baseline/init.c")))?;
    packed(&root)
}

fn in_shell(kernel: &Kernel, release: &Release, folder: &Path) -> Result<PathBuf> {
    let root = yardstick(kernel, release, &folder.join("shell"))?;
    let script = include_str!("../baseline/init.sh").replace("PROBE", &format!("/{PROBE_PATH}"));
    fs::write(root.join("init"), script)?;
    run(program("chmod").arg("755").arg(root.join("init")))?;
    run(program("cp").args(["/bin/busybox", "/sbin/veritysetup"]).arg(root.join("bin")))?;
    let libraries = run(program("ldd").arg("/sbin/veritysetup"))?;
    for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
        run(program("cp").args(["--parents", "--dereference", library]).arg(&root))?;
    }
    packed(&root)
}

/// An initramfs that knows its image by `/params`, and lacks only its `/init`.
fn yardstick(kernel: &Kernel, release: &Release, root: &Path) -> Result<PathBuf> {
    for folder in FOLDERS {
        fs::create_dir_all(root.join(folder))?;
    }
    add_modules(kernel, &MODULES, &root.join("modules"))?;
    let seal = pintle_verify::peek(&fs::read(release.folder().join("seal"))?)?;
    let (blocks, hash, salt) = (seal.image_size / 4096, seal.root_hash.hex(), seal.salt.hex());
    let modules = MODULES.iter().enumerate();
    let modules: String =
        modules.map(|(number, name)| format!("/modules/{number:02}-{name}.ko\n")).collect();
    fs::write(root.join("params"), format!("{ENTRY}\n{blocks}\n{hash}\n{salt}\n{modules}"))?;
    Ok(root.to_owned())
}

fn packed(root: &Path) -> Result<PathBuf> {
    let archive = root.with_extension("cpio");
    pack(root, &archive)?;
    run(program("zstd").args(["-q", "-19", "--force"]).arg(&archive))?;
    Ok(root.with_extension("cpio.zst"))
}
