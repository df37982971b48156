//! Repairing an ext4 in stage 1: by e2fsck, so that its journal is kept.
//!
//! A backup superblock does not know that the journal holds anything: mounted through it, the
//! journal would be thrown away, and with it what was fsynced. e2fsck looks into the journal
//! itself and replays it. Source: e2fsck(8).

use crate::BlockDevice;
use crate::error::{Cause, Error, Result};
use crate::ext4::{BACKUPS, Backup, Integrity, LEN, PRIMARY_OFFSET, Superblock};
use pintle_sys::Purpose;
use pintle_sys::spawn::{Child, Ended, Program, StringArray};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Access, MemfdFlags, access, memfd_create};
use rustix::io::pread;
use std::ffi::{CStr, CString};
use std::time::Duration;

/// Where `pintle initrd` puts it.
const E2FSCK: &CStr = c"/sbin/e2fsck";

/// e2fsck's exit status is a sum of bits; from this one on something was left as it was.
const LEFT_UNREPAIRED: i32 = 4;

/// How long the watchdog can go without food at most.
const FEEDING: Duration = Duration::from_secs(1);

/// The end of what e2fsck prints says what became of the file system.
const OUTPUT_MAX: usize = 4096;
const LINES_MAX: usize = 8;

/// A repair that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// The backup superblock that it began with; `None` where the primary one was whole.
    pub backup: Option<Backup>,
    /// The last lines that e2fsck printed.
    pub output: Vec<String>,
}

/// The primary superblock of the ext4 on a device.
pub fn superblock(device: &BlockDevice) -> Option<Superblock> {
    read(&device.open().ok()?, PRIMARY_OFFSET)
}

/// Repairs the ext4 on a device that is not mounted: first what is safe to repair unasked, then
/// everything. `feed` is called every second meanwhile.
pub fn repair(device: &BlockDevice, feed: &mut dyn FnMut()) -> Result<Repair> {
    let backup = backup_needed(device)?;
    if access(E2FSCK, Access::EXEC_OK).is_err() {
        return Err(failed(device, "there is no /sbin/e2fsck in the initramfs", Vec::new()));
    }
    let careful = check(device, "-p", backup, feed)?;
    if careful.is_good() {
        return Ok(Repair { backup, output: careful.output });
    }
    let thorough = check(device, "-y", backup, feed)?;
    if thorough.is_good() {
        return Ok(Repair { backup, output: thorough.output });
    }
    Err(failed(device, "e2fsck could not repair it", thorough.output))
}

/// The backup to begin with where the primary superblock is not whole.
fn backup_needed(device: &BlockDevice) -> Result<Option<Backup>> {
    let disk = device.open().to("open the state device")?;
    let primary = read(&disk, PRIMARY_OFFSET);
    if primary.is_some_and(|superblock| superblock.integrity != Integrity::Torn) {
        return Ok(None);
    }
    let sound = |backup: &Backup| {
        read(&disk, backup.offset()).is_some_and(|superblock| backup.is_sound(&superblock))
    };
    let found = BACKUPS.into_iter().find(sound);
    let why = "its superblock is torn and it has no backup where mkfs puts the first";
    found.map(Some).ok_or_else(|| failed(device, why, Vec::new()))
}

fn read(disk: &OwnedFd, offset: u64) -> Option<Superblock> {
    let mut bytes = [0; LEN];
    let length = pread(disk, &mut bytes, offset).ok()?;
    (length == LEN).then(|| Superblock::parse(&bytes))?
}

/// A finished run of e2fsck.
struct Check {
    ended: Ended,
    output: Vec<String>,
}

impl Check {
    fn is_good(&self) -> bool {
        matches!(self.ended, Ended::Exited(status) if (0..LEFT_UNREPAIRED).contains(&status))
    }
}

fn check(
    device: &BlockDevice,
    mode: &str,
    backup: Option<Backup>,
    feed: &mut dyn FnMut(),
) -> Result<Check> {
    let arguments = arguments(device, mode, backup);
    let environment = StringArray::new(Vec::new());
    let output = memfd_create(c"e2fsck", MemfdFlags::CLOEXEC).to("keep what e2fsck prints")?;
    let descriptors = [output.as_fd(); 3];
    let program =
        Program { descriptors: &descriptors, ..Program::new(E2FSCK, &arguments, &environment) };
    let ended = wait_feeding(&program.start()?, feed)?;
    Ok(Check { ended, output: last_lines(&output) })
}

fn arguments(device: &BlockDevice, mode: &str, backup: Option<Backup>) -> StringArray {
    let mut words = vec!["e2fsck".to_owned(), mode.to_owned()];
    if let Some(Backup { block, block_size }) = backup {
        words.extend(["-b".to_owned(), block.to_string()]);
        words.extend(["-B".to_owned(), block_size.to_string()]);
    }
    words.push(device.path().display().to_string());
    StringArray::new(words.into_iter().filter_map(|word| CString::new(word).ok()).collect())
}

fn wait_feeding(child: &Child, feed: &mut dyn FnMut()) -> Result<Ended> {
    loop {
        if let Some(ended) = child.wait(Some(FEEDING))? {
            return Ok(ended);
        }
        feed();
    }
}

fn last_lines(output: &OwnedFd) -> Vec<String> {
    let size = rustix::fs::fstat(output).map_or(0, |stat| stat.st_size.cast_unsigned());
    let mut end = [0; OUTPUT_MAX];
    let start = size.saturating_sub(OUTPUT_MAX as u64);
    let length = pread(output, &mut end, start).unwrap_or_default();
    let text = String::from_utf8_lossy(end.get(..length).unwrap_or_default()).into_owned();
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let first = lines.len().saturating_sub(LINES_MAX);
    lines.into_iter().skip(first).map(str::to_owned).collect()
}

/// An error that says what is there.
fn failed(device: &BlockDevice, why: &str, output: Vec<String>) -> Error {
    let found = match superblock(device) {
        Some(it) => format!("ext4 {:?}, superblock {:?}, {:?}", it.label, it.integrity, it.journal),
        None => "no superblock".to_owned(),
    };
    let size = device.size().unwrap_or_default() >> 20;
    let what = format!("repair {} ({size} MiB, {found})", device.path().display());
    let why =
        if output.is_empty() { why.to_owned() } else { format!("{why}: {}", output.join(" | ")) };
    Error::Damaged(Cause::new(what, why))
}
