//! The machines that a benchmark compares: pintle, a C program that does just the system calls, and a shell script with
//! busybox and veritysetup, on the same kernel, disk and image.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::host::{program, run};
use crate::initramfs::{add_modules, pack};
use crate::kernel::Kernel;
use crate::release::{Initrd, Keys, Release};
use crate::state::{Ext4, State};
use crate::vm::{Board, Vm};

const ENTRY: &str = "1_1.0.0";

/// What dm-verity over a loop device, EROFS and an overlay need of Debian's kernel, in load order, and the processor's own
/// SHA-256, which saves more time than it takes to load.
const MODULES: [&str; 10] = [
    "sha256-ssse3",
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

/// What all sides of a benchmark have in common.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The kernel.
    pub kernel: Kernel,
    /// Who signed the release.
    pub keys: Keys,
    /// The image.
    pub release: Release,
    /// The one service, as a path in the image.
    pub service: &'static str,
}

/// A machine by what boots it.
#[derive(Clone, Debug)]
pub struct Side {
    /// What stands in the table.
    pub name: &'static str,
    /// The initramfs.
    pub initrd: PathBuf,
    /// The event after which it has nothing left to do, where it reports any.
    pub last_event: Option<&'static str>,
}

impl Ground {
    /// The yardsticks and pintle, the one that the others are held against first.
    pub fn sides(&self, folder: &Path) -> Result<[Side; 4]> {
        Ok([
            Side { name: "C, dm-verity", initrd: self.in_c(&folder.join("c"))?, last_event: None },
            Side {
                name: "shell, dm-verity",
                initrd: self.in_shell(&folder.join("shell"))?,
                last_event: None,
            },
            self.pintle("pintle, dm-verity", "dm")?,
            self.pintle("pintle, fs-verity", "fs")?,
        ])
    }

    /// A disk with the release on it, which keeps what is written.
    pub fn disk(&self) -> Result<Ext4> {
        State::new()?.with(ENTRY, &self.release)?.disk()
    }

    /// A machine whose clock counts instructions: an emulated one is a nanosecond, so that times repeat on a busy host.
    pub fn vm(&self, side: &Side, disk: &Ext4) -> Vm {
        let vm = Vm::on(Board::Q35, &self.kernel).initrd(&side.initrd).cmdline("quiet");
        vm.disk(disk.disk()).counting_instructions()
    }

    /// The machine that this repository is about, with this way of checking its root.
    pub fn pintle(&self, name: &'static str, way: &str) -> Result<Side> {
        let initrd = Initrd::of(&self.kernel, &self.keys).set(&format!("verity={way}")).make()?;
        Ok(Side { name, initrd, last_event: Some("blessed") })
    }

    /// A machine that loads these modules, says how long each took (`baseline/modules.c`), and ends.
    pub fn module_timer(&self, modules: &[&str], root: &Path) -> Result<Side> {
        fs::create_dir_all(root)?;
        fs::write(root.join("params"), self.add_modules(modules, root)?)?;
        let initrd = self.compiled("modules.c", root)?;
        Ok(Side { name: "modules", initrd, last_event: None })
    }

    fn in_c(&self, root: &Path) -> Result<PathBuf> {
        self.furnish(root)?;
        self.compiled("init.c", root)
    }

    fn compiled(&self, source: &str, root: &Path) -> Result<PathBuf> {
        run(program("cc")
            .args(["-O2", "-static", "-o"])
            .arg(root.join("init"))
            .arg(format!("-DSERVICE=\"/{}\"", self.service))
            .arg(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/baseline")).join(source)))?;
        packed(root)
    }

    fn in_shell(&self, root: &Path) -> Result<PathBuf> {
        self.furnish(root)?;
        let rest = include_str!("../baseline/rest.sh");
        fs::write(root.join("rest.sh"), rest.replace("SERVICE", &format!("/{}", self.service)))?;
        fs::write(root.join("init"), include_str!("../baseline/init.sh"))?;
        run(program("chmod").arg("755").arg(root.join("init")))?;
        run(program("cp").args(["/bin/busybox", "/sbin/veritysetup"]).arg(root.join("bin")))?;
        let libraries = run(program("ldd").arg("/sbin/veritysetup"))?;
        for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
            run(program("cp").args(["--parents", "--dereference", library]).arg(root))?;
        }
        packed(root)
    }

    /// Makes an initramfs that knows its image by `/params`, and lacks only its `/init`.
    fn furnish(&self, root: &Path) -> Result<()> {
        for folder in FOLDERS {
            fs::create_dir_all(root.join(folder))?;
        }
        let modules = self.add_modules(&MODULES, root)?;
        let seal = pintle_verify::peek(&fs::read(self.release.folder().join("seal"))?)?;
        let (blocks, hash, salt) = (seal.image_size / 4096, seal.root_hash.hex(), seal.salt.hex());
        let params = format!("{ENTRY}\n{blocks}\n{hash}\n{salt}\n{modules}");
        Ok(fs::write(root.join("params"), params)?)
    }

    /// Their paths in the initramfs, one a line.
    fn add_modules(&self, modules: &[&str], root: &Path) -> Result<String> {
        add_modules(&self.kernel, modules, &root.join("modules"))?;
        let numbered = modules.iter().enumerate();
        Ok(numbered.map(|(number, name)| format!("/modules/{number:02}-{name}.ko\n")).collect())
    }
}

/// Measured boots of a side, of which the median counts: while the guest waits for a disk or a timer it waits in the host's
/// time, and that differs by some milliseconds.
const BOOTS: usize = 3;

/// Boots once without counting it, because that makes directories and lets fs-verity read the image; then a few times, and
/// gives the boot with the median `time`.
pub fn median<T>(boot: impl Fn() -> Result<T>, time: impl Fn(&T) -> f64) -> Result<T> {
    boot()?;
    let mut boots = (0..BOOTS).map(|_| boot()).collect::<Result<Vec<T>>>()?;
    boots.sort_by(|a, b| time(a).total_cmp(&time(b)));
    Ok(boots.swap_remove(BOOTS / 2))
}

/// When the kernel logged the first line with this text, in milliseconds: the line begins with `[    1.234567]`.
pub fn logged_at(console: &str, text: &str) -> Result<f64> {
    let line = console.lines().find(|line| line.contains(text));
    let line = line.with_context(|| format!("{text:?} is not on the console:\n{console}"))?;
    let (_, stamped) = line.split_once('[').context("no time")?;
    let (seconds, _) = stamped.split_once(']').context("no time")?;
    Ok(seconds.trim().parse::<f64>()? * 1000.0)
}

fn packed(root: &Path) -> Result<PathBuf> {
    let archive = root.with_extension("cpio");
    pack(root, &archive)?;
    run(program("zstd").args(["-q", "-19", "--force"]).arg(&archive))?;
    Ok(root.with_extension("cpio.zst"))
}
