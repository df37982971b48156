//! Repairing an ext4 in stage 1 so that its journal is kept.
//!
//! A backup superblock does not know that the journal holds anything: mounted through it, the
//! journal would be thrown away, and with it what was fsynced. e2fsck looks into the journal
//! itself and replays it. A superblock that is only torn can be made whole without e2fsck, with
//! the mark that makes the kernel replay the journal. Source: e2fsck(8).

use crate::BlockDevice;
use crate::error::{Cause, Error, Result};
use crate::ext4::{self, BACKUPS, Backup, Integrity, LEN, PRIMARY_OFFSET, Superblock};
use crate::feeding;
use pintle_sys::Purpose;
use pintle_sys::spawn::{Ended, Program, StringArray};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Access, MemfdFlags, Mode, OFlags, access, fsync, memfd_create, open};
use rustix::io::{Errno, pread, pwrite};
use std::ffi::{CStr, CString};

/// Where `pintle initrd` puts it.
const E2FSCK: &CStr = c"/sbin/e2fsck";

/// e2fsck's exit status is a sum of bits; from this one on something was left as it was.
const LEFT_UNREPAIRED: i32 = 4;

/// The end of what e2fsck prints says what became of the file system.
const OUTPUT_MAX: usize = 4096;
const LINES_MAX: usize = 8;

/// A repair that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// What it began with.
    pub start: Start,
    /// The last lines that e2fsck printed; none where there is no e2fsck.
    pub output: Vec<String>,
}

/// The superblock that a repair began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The primary one, which was whole.
    Primary,
    /// The primary one, which was torn and has been made whole.
    Resealed,
    /// A backup: the primary one was gone, or torn.
    Backup(Backup),
}

/// The primary superblock of the ext4 on a device.
pub fn superblock(device: &BlockDevice) -> Option<Superblock> {
    read(&device.open().ok()?, PRIMARY_OFFSET)
}

/// Whether stage 1 carries what repairs file systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tool {
    E2fsck,
    None,
}

/// Repairs the ext4 on a device that is not mounted: with e2fsck first what is safe to repair
/// unasked, then everything. `feed` is called every second meanwhile. Without e2fsck, a superblock
/// that is torn or gone is all that can be repaired.
pub fn repair(device: &BlockDevice, feed: &mut dyn FnMut()) -> Result<Repair> {
    let tool = if access(E2FSCK, Access::EXEC_OK).is_ok() { Tool::E2fsck } else { Tool::None };
    let disk = open_for_writing(device)?;
    let start = start(device, &disk)?;
    match (tool, start) {
        (Tool::E2fsck, Start::Primary | Start::Backup(_)) => {}
        (Tool::None, Start::Primary) => {
            return Err(failed(device, "there is no /sbin/e2fsck in the initramfs", Vec::new()));
        }
        (Tool::None, Start::Backup(backup)) => rewrite(&disk, backup.offset(), ext4::restored)?,
        (_, Start::Resealed) => rewrite(&disk, PRIMARY_OFFSET, ext4::resealed)?,
    }
    // e2fsck wants the device to itself.
    drop(disk);
    match tool {
        Tool::E2fsck => check(device, start, feed),
        Tool::None => Ok(Repair { start, output: Vec::new() }),
    }
}

/// A backup is written by mkfs and e2fsck alone, and therefore beats a torn primary.
fn start(device: &BlockDevice, disk: &OwnedFd) -> Result<Start> {
    let bytes = read_bytes(disk, PRIMARY_OFFSET);
    let primary = bytes.as_ref().and_then(Superblock::parse);
    if primary.is_some_and(|superblock| superblock.integrity != Integrity::Torn) {
        return Ok(Start::Primary);
    }
    let backup = BACKUPS.into_iter().find(|backup| is_there(disk, backup)).map(Start::Backup);
    let torn = bytes.as_ref().and_then(ext4::resealed).map(|_| Start::Resealed);
    let why = "it has no superblock, and no backup where mkfs puts the first";
    backup.or(torn).ok_or_else(|| failed(device, why, Vec::new()))
}

/// Writes a primary superblock that is made of the one at `offset`.
fn rewrite(disk: &OwnedFd, offset: u64, make: fn(&[u8; LEN]) -> Option<[u8; LEN]>) -> Result<()> {
    let made = read_bytes(disk, offset).as_ref().and_then(make);
    let written = made.map_or(Err(Errno::IO), |bytes| write_superblock(disk, &bytes));
    written.to("write the superblock anew").map_err(Into::into)
}

fn open_for_writing(device: &BlockDevice) -> Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::EXCL | OFlags::CLOEXEC;
    open(device.path(), flags, Mode::empty()).to("open the state device").map_err(Into::into)
}

fn write_superblock(disk: &OwnedFd, bytes: &[u8; LEN]) -> rustix::io::Result<()> {
    match pwrite(disk, bytes, PRIMARY_OFFSET)? {
        LEN => fsync(disk),
        _ => Err(Errno::IO),
    }
}

fn is_there(disk: &OwnedFd, backup: &Backup) -> bool {
    read(disk, backup.offset()).is_some_and(|superblock| backup.is_sound(&superblock))
}

fn read(disk: &OwnedFd, offset: u64) -> Option<Superblock> {
    Superblock::parse(&read_bytes(disk, offset)?)
}

fn read_bytes(disk: &OwnedFd, offset: u64) -> Option<[u8; LEN]> {
    let mut bytes = [0; LEN];
    let length = pread(disk, &mut bytes, offset).ok()?;
    (length == LEN).then_some(bytes)
}

fn check(device: &BlockDevice, start: Start, feed: &mut dyn FnMut()) -> Result<Repair> {
    let careful = run(device, "-p", start, feed)?;
    if careful.is_good() {
        return Ok(Repair { start, output: careful.output });
    }
    let thorough = run(device, "-y", start, feed)?;
    if thorough.is_good() {
        return Ok(Repair { start, output: thorough.output });
    }
    Err(failed(device, "e2fsck could not repair it", thorough.output))
}

/// A finished run of e2fsck.
struct Run {
    ended: Ended,
    output: Vec<String>,
}

impl Run {
    fn is_good(&self) -> bool {
        matches!(self.ended, Ended::Exited(status) if (0..LEFT_UNREPAIRED).contains(&status))
    }
}

fn run(device: &BlockDevice, mode: &str, start: Start, feed: &mut dyn FnMut()) -> Result<Run> {
    let arguments = arguments(device, mode, start);
    let environment = StringArray::new(Vec::new());
    let output = memfd_create(c"e2fsck", MemfdFlags::CLOEXEC).to("keep what e2fsck prints")?;
    let descriptors = [output.as_fd(); 3];
    let program =
        Program { descriptors: &descriptors, ..Program::new(E2FSCK, &arguments, &environment) };
    let ended = feeding::wait(&program.start()?, feed)?;
    Ok(Run { ended, output: last_lines(&output) })
}

fn arguments(device: &BlockDevice, mode: &str, start: Start) -> StringArray {
    let mut words = vec!["e2fsck".to_owned(), mode.to_owned()];
    if let Start::Backup(Backup { block, block_size }) = start {
        words.extend(["-b".to_owned(), block.to_string()]);
        words.extend(["-B".to_owned(), block_size.to_string()]);
    }
    words.push(device.path().display().to_string());
    StringArray::new(words.into_iter().filter_map(|word| CString::new(word).ok()).collect())
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
