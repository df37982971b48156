//! The initramfs that stage 1 runs from: pintle-init, what it trusts, how it boots, and the kernel
//! modules that it needs for that.
//!
//! Equal input gives equal bytes: a zstd frame of a cpio archive with nothing of the host in it.

mod modules;
mod program;

use std::io::{self, Write};

use pintle_config::{Boot, Lock, Recovery};
use pintle_verify::KeySet;
use serde::Serialize;

pub use modules::wanted_modules;
pub use program::Program;

use crate::cpio::Archive;
use crate::error::Attempt;
use crate::kmod::Plan;
use crate::tree::Device;
use crate::{Error, Result};

/// Takes seconds for a few MiB, once; the machine decompresses any level equally fast.
const LEVEL: i32 = 19;
/// Where file systems are mounted before there is anything to make a directory in.
const MOUNT_POINTS: [&str; 4] = ["dev", "proc", "run", "sys"];
/// The kernel opens the first for `/init`, also where devtmpfs is missing
/// (Documentation/admin-guide/devices.txt).
const DEVICES: [(&str, u32, Device); 2] = [
    ("dev/console", 0o600, Device { major: 5, minor: 1 }),
    ("dev/null", 0o666, Device { major: 1, minor: 3 }),
];

/// Where pintle-init finds how it boots.
const BOOT: &str = "/pintle/boot.bin";

/// What an initramfs is made of.
pub struct Recipe {
    /// pintle-init.
    pub init: Program,
    /// Repairs the state file system where its journal alone does not.
    pub e2fsck: Option<Program>,
    /// `/bin/sh` of an unlocked machine: before the root is mounted, and where nothing boots.
    pub shell: Option<Program>,
    /// Whose images the machine boots.
    pub keys: KeySet,
    /// How it boots.
    pub boot: Boot,
    /// The kernel's modules, where it has any.
    pub modules: Option<Plan>,
}

/// An initramfs and what it cost.
pub struct Initrd {
    /// The file that the boot loader loads.
    pub bytes: Vec<u8>,
    /// What is in it.
    pub summary: Summary,
}

/// What an initramfs holds and how large that is.
#[derive(Debug, Default, Serialize)]
pub struct Summary {
    /// Bytes of the file.
    pub size: usize,
    /// Bytes that it takes in memory until the root is mounted.
    pub unpacked: usize,
    /// The release of the kernel that the modules belong to.
    pub kernel: Option<String>,
    /// Its files, by path.
    pub parts: Vec<Part>,
    /// Modules that were wanted and are built into the kernel.
    pub builtin: Vec<String>,
    /// Modules that were wanted if present, and that the kernel does not have.
    pub absent: Vec<String>,
}

/// What one file adds to an initramfs.
#[derive(Debug, Serialize)]
pub struct Part {
    /// From the root of the initramfs, without a leading slash.
    pub path: String,
    /// Bytes of the file.
    pub unpacked: usize,
    /// Bytes that the initramfs is larger for it.
    pub packed: usize,
    /// What a kernel module is loaded for, or which modules need it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wanted_by: Vec<String>,
}

/// Makes the initramfs.
pub fn pack(recipe: Recipe) -> Result<Initrd> {
    check_init(&recipe.init)?;
    check_shell(&recipe)?;
    check_processors(&recipe)?;
    let mut packer = Packer::default();
    packer.add_skeleton()?;
    packer.add("init", 0o755, recipe.init.into_bytes())?;
    if let Some(e2fsck) = recipe.e2fsck {
        packer.add("sbin/e2fsck", 0o755, e2fsck.into_bytes())?;
    }
    if let Some(shell) = recipe.shell {
        packer.add("bin/sh", 0o755, shell.into_bytes())?;
    }
    packer.add("pintle/keys.bin", 0o644, recipe.keys.to_bytes())?;
    packer.add(BOOT.trim_start_matches('/'), 0o644, encoded(recipe.boot.to_bytes())?)?;
    packer.add_modules(recipe.modules.unwrap_or_default())?;
    packer.finish()
}

/// What reads the configuration names it by its path; another program would be started and leave
/// the machine without a root.
fn check_init(init: &Program) -> Result<()> {
    match init.holds(BOOT) {
        true => Ok(()),
        false => {
            Err(Error::input("use the init", format!("it is no pintle-init: no {BOOT} in it")))
        }
    }
}

/// A shell that a locked machine never starts would only be there for who finds a way to it.
fn check_shell(recipe: &Recipe) -> Result<()> {
    let refuse = |cause| Err(Error::input("make the initramfs", cause));
    match (&recipe.shell, recipe.boot.lock, recipe.boot.recovery) {
        (Some(_), Lock::Locked, _) => {
            refuse("a locked machine gets no shell: leave --shell out, or set lock = \"unlocked\"")
        }
        (None, Lock::Unlocked, Recovery::Shell) => {
            refuse("its recovery is a shell, and it has none: --shell /bin/busybox, a static one")
        }
        _ => Ok(()),
    }
}

fn check_processors(recipe: &Recipe) -> Result<()> {
    let modules = recipe.modules.iter().flat_map(|plan| &plan.modules);
    let programs = recipe.e2fsck.iter().chain(&recipe.shell).map(Program::machine);
    let mut machines = modules.map(|module| program::machine(&module.elf)).chain(programs);
    match machines.all(|machine| machine == recipe.init.machine()) {
        true => Ok(()),
        false => {
            let cause = "its programs and modules are for different processors";
            Err(Error::input("make the initramfs", cause))
        }
    }
}

#[derive(Default)]
struct Packer {
    archive: Archive,
    summary: Summary,
}

impl Packer {
    fn add_skeleton(&mut self) -> Result<()> {
        for path in MOUNT_POINTS {
            self.archive.add_directory(path)?;
        }
        for (path, permissions, device) in DEVICES {
            self.archive.add_char_device(path, permissions, device)?;
        }
        Ok(())
    }

    fn add_modules(&mut self, plan: Plan) -> Result<()> {
        self.add("pintle/modules.bin", 0o644, encoded(plan.table()?.to_bytes())?)?;
        let reasons: Vec<_> = (0..plan.modules.len()).map(|module| plan.reasons(module)).collect();
        for (module, reasons) in plan.modules.into_iter().zip(reasons) {
            self.describe(&module.path, module.elf.len(), reasons);
            self.archive.add_file(&module.path, 0o644, module.elf)?;
        }
        self.summary.kernel = plan.release;
        self.summary.builtin = plan.builtin.iter().map(ToString::to_string).collect();
        self.summary.absent = plan.absent.iter().map(ToString::to_string).collect();
        Ok(())
    }

    fn add(&mut self, path: &str, permissions: u32, data: Vec<u8>) -> Result<()> {
        self.describe(path, data.len(), Vec::new());
        self.archive.add_file(path, permissions, data)
    }

    fn describe(&mut self, path: &str, unpacked: usize, wanted_by: Vec<String>) {
        let path = path.to_owned();
        self.summary.parts.push(Part { path, unpacked, packed: 0, wanted_by });
    }

    fn finish(mut self) -> Result<Initrd> {
        let bytes = self.compress().attempt(|| "compress the initramfs".to_owned())?;
        self.summary.size = bytes.len();
        self.summary.parts.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Initrd { bytes, summary: self.summary })
    }

    /// One frame, flushed after each file to see what that file cost. Its header tells the size of
    /// the whole, so that the kernel needs no larger a window than that.
    fn compress(&mut self) -> io::Result<Vec<u8>> {
        let pieces = self.archive.pieces()?;
        let size = pieces.iter().map(|(_, bytes)| bytes.len()).sum();
        self.summary.unpacked = size;
        let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL)?;
        encoder.set_pledged_src_size(Some(size as u64))?;
        encoder.include_checksum(true)?;
        for (path, bytes) in pieces {
            let before = encoder.get_ref().len();
            encoder.write_all(&bytes)?;
            encoder.flush()?;
            let part = self.summary.parts.iter_mut().find(|part| part.path == path);
            part.into_iter().for_each(|part| part.packed = encoder.get_ref().len() - before);
        }
        encoder.finish()
    }
}

fn encoded(bytes: std::result::Result<Vec<u8>, pintle_config::Error>) -> Result<Vec<u8>> {
    bytes.map_err(|cause| Error::input("make the initramfs", cause))
}
