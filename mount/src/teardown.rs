//! Taking everything down at the end: the root too, from a root in memory.
//!
//! The root's bytes come from a file on the state partition, and that is mounted below the root.
//! So the machine first steps into the tmpfs of `/run`, where the state partition is mounted, and
//! lets go of the old root from there. PID 1 runs from memory and must hold nothing open in the
//! old root.
//!
//! Source: pivot_root(2), umount(2), proc_pid_mountinfo(5).

use crate::error::{Cause, Error, Result};
use crate::feeding::{self, FEEDING};
use crate::mountinfo;
use pintle_sys::dm::Control;
use pintle_sys::loopdev;
use pintle_sys::spawn::{Child, fork};
use pintle_sys::{self as sys, Purpose};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, mkdir, sync};
use rustix::io::{Errno, read, retry_on_intr, write};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount_change, mount_move, mount_remount,
    unmount,
};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, chdir, pivot_root};
use std::fmt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Where the old root goes, seen from the new one.
const OLD: &str = "/pintle/exit/old";

/// What is made below `/run` so that it can be a root.
const DIRECTORIES: [&str; 6] = [
    "/run/pintle",
    "/run/pintle/exit",
    "/run/pintle/exit/old",
    "/run/proc",
    "/run/sys",
    "/run/dev",
];

/// What moves to the new root; nothing in it needs to be taken down.
const KEPT: [&str; 3] = ["/proc", "/sys", "/dev"];

/// Between two tries at what is busy: the kernel lets go of the devices below the old root, and of
/// the files below those, in workers of its own.
const PAUSE: Duration = Duration::from_millis(2);

/// One thing to be taken down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Unmount what is on top at this path.
    Unmount(PathBuf),
    /// Detach every loop device.
    DetachLoops,
    /// Remove every mapped device that is not in use.
    RemoveMapped,
    /// Make the file system at this path read-only, and thereby clean.
    RemountReadOnly(PathBuf),
}

/// What could not be taken down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// The step.
    pub step: Step,
    /// Why it was left.
    pub why: Why,
}

/// Why a step was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The kernel refused.
    Refused(Errno),
    /// The kernel did not answer in time.
    Hung,
}

/// Makes the directories for [`leave_root`], while there is room for them.
pub fn prepare() -> Result<()> {
    DIRECTORIES.iter().try_for_each(|directory| make_directory(directory)).map_err(Into::into)
}

/// Makes the tmpfs of `/run` the root, and moves `/proc`, `/sys` and `/dev` into it. What was
/// `/run/x` is `/x` from here on.
pub fn leave_root() -> Result<()> {
    prepare()?;
    // Where mounts are shared the kernel refuses to move them.
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .to("make all mounts private")?;
    for directory in KEPT {
        mount_move(directory, format!("/run{directory}")).to("move a mount into the exit root")?;
    }
    chdir("/run").to("enter the exit root")?;
    pivot_root("/run", format!("/run{OLD}")).to("pivot to the exit root")?;
    chdir("/").to("enter the exit root").map_err(Into::into)
}

/// Takes down what stage 1 has mounted at these places, the first one first, where nothing is booted
/// in the end. The initramfs stays the root. Each step has `limit` to end.
pub fn take_down_only(places: &[&Path], limit: Duration, feed: &mut dyn FnMut()) -> Vec<Leftover> {
    let mounted = mountinfo::innermost_first(&mountinfo());
    let wanted = places.iter().filter(|place| mounted.iter().any(|path| path == *place));
    let steps: Vec<_> = wanted.map(|place| Step::Unmount(place.to_path_buf())).collect();
    let mut leftovers = carry_out(&steps, limit, feed);
    let read_only: Vec<_> = leftovers.iter().filter_map(Leftover::read_only).collect();
    leftovers.extend(carry_out(&read_only, limit, feed));
    leftovers
}

/// Takes down all that is below the root of [`leave_root`]. Each step has `limit` to end, and so
/// has what is busy to become free; `feed` is called after each step, and at least every `limit`.
/// What cannot be unmounted is made read-only.
pub fn take_down(limit: Duration, feed: &mut dyn FnMut()) -> Vec<Leftover> {
    let mut steps = plan(&mountinfo());
    let mut leftovers = carry_out(&steps, limit, feed);
    let mut progress = Instant::now();
    while !leftovers.is_empty() && progress.elapsed() < limit {
        sleep(PAUSE);
        let before = steps.len();
        steps = plan(&mountinfo());
        // The root's own device goes by itself, and faster so than by this call; others need it.
        steps.push(Step::RemoveMapped);
        leftovers = carry_out(&steps, limit, feed);
        if steps.len() < before {
            progress = Instant::now();
        }
    }
    let read_only: Vec<_> = leftovers.iter().filter_map(Leftover::read_only).collect();
    leftovers.extend(carry_out(&read_only, limit, feed));
    leftovers
}

/// Writes back what is not on the disks yet, for at most `limit`; `feed` is called every second.
pub fn sync_within(limit: Duration, feed: &mut dyn FnMut()) -> Result<()> {
    let child = fork(|| {
        sync();
        0
    })?;
    match feeding::wait_within(&child, limit, feed)? {
        Some(_) => Ok(()),
        None => {
            let why = format!("no end after {} s", limit.as_secs());
            Err(Error::Hardware(Cause::new("sync the disks", why)))
        }
    }
}

/// What has to be done to take down the mounts that `mountinfo` lists: the old root and all that
/// is in it, then the devices below it, then the rest; what is mounted on something before that.
pub fn plan(mountinfo: &str) -> Vec<Step> {
    let mounts = mountinfo::innermost_first(mountinfo);
    let wanted = mounts.into_iter().filter(|path| !is_kept(path));
    let (old, rest): (Vec<_>, Vec<_>) = wanted.partition(|path| path.starts_with(OLD));
    let old = old.into_iter().map(Step::Unmount);
    old.chain([Step::DetachLoops]).chain(rest.into_iter().map(Step::Unmount)).collect()
}

fn mountinfo() -> String {
    std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default()
}

fn is_kept(path: &Path) -> bool {
    path == Path::new("/") || KEPT.iter().any(|kept| path.starts_with(kept))
}

/// A step that hangs takes the child that does it along; another goes on with the next one.
fn carry_out(steps: &[Step], limit: Duration, feed: &mut dyn FnMut()) -> Vec<Leftover> {
    let mut leftovers = Vec::new();
    let mut left = steps;
    while !left.is_empty() {
        let outcomes = in_child(left, limit, feed)
            // Without a child there is no limit, and still nothing better to do.
            .unwrap_or_else(|_| left.iter().map(Step::take).collect());
        let hung = left.get(outcomes.len());
        leftovers.extend(left.iter().zip(&outcomes).filter_map(refused));
        leftovers.extend(hung.map(|step| Leftover { step: step.clone(), why: Why::Hung }));
        left = left.get(outcomes.len() + 1..).unwrap_or_default();
    }
    leftovers
}

fn refused((step, outcome): (&Step, &Outcome)) -> Option<Leftover> {
    let errno = outcome.err()?;
    Some(Leftover { step: step.clone(), why: Why::Refused(errno) })
}

type Outcome = rustix::io::Result<()>;

/// Does the steps in a child; gives the outcomes of those that ended in time.
fn in_child(steps: &[Step], limit: Duration, feed: &mut dyn FnMut()) -> sys::Result<Vec<Outcome>> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).to("make a pipe")?;
    let child = fork(|| {
        steps.iter().for_each(|step| report(&writer, step.take()));
        0
    })?;
    drop(writer);
    let mut outcomes = Vec::with_capacity(steps.len());
    while let Some(outcome) = next_outcome_within(&reader, limit, feed) {
        outcomes.push(outcome);
        feed();
    }
    end(&child, limit, feed);
    Ok(outcomes)
}

/// A child that hangs in the kernel cannot be killed; it is left to the reset.
fn end(child: &Child, limit: Duration, feed: &mut dyn FnMut()) {
    let killed = child.kill(Signal::KILL);
    let gone = killed.and_then(|()| feeding::wait_within(child, limit, feed));
    gone.map(drop).unwrap_or_default();
}

/// In slices, between which `feed` is called.
fn next_outcome_within(
    reader: &OwnedFd,
    limit: Duration,
    feed: &mut dyn FnMut(),
) -> Option<Outcome> {
    let begun = Instant::now();
    loop {
        let left = limit.checked_sub(begun.elapsed())?;
        match next_outcome(reader, left.min(FEEDING)) {
            Next::Came(outcome) => return Some(outcome),
            Next::End => return None,
            Next::Nothing => feed(),
        }
    }
}

/// What the pipe of outcomes has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Came(Outcome),
    /// Nothing yet.
    Nothing,
    End,
}

fn report(writer: &OwnedFd, outcome: Outcome) {
    let errno = outcome.err().map_or(0, Errno::raw_os_error);
    // A parent that reads no more has given this child up.
    write(writer, &errno.to_ne_bytes()).map(drop).unwrap_or_default();
}

fn next_outcome(reader: &OwnedFd, limit: Duration) -> Next {
    let limit = Timespec::try_from(limit).ok();
    let mut ready = [PollFd::new(reader, PollFlags::IN)];
    if retry_on_intr(|| poll(&mut ready, limit.as_ref())) == Ok(0) {
        return Next::Nothing;
    }
    let mut errno = [0; 4];
    match retry_on_intr(|| read(reader, &mut errno)) {
        Ok(length) if length == errno.len() => Next::Came(match i32::from_ne_bytes(errno) {
            0 => Ok(()),
            errno => Err(Errno::from_raw_os_error(errno)),
        }),
        Ok(_) | Err(_) => Next::End,
    }
}

impl Step {
    fn take(&self) -> Outcome {
        match self {
            Step::Unmount(path) => unmount(path, UnmountFlags::NOFOLLOW),
            Step::DetachLoops => detach_loops(),
            Step::RemoveMapped => remove_mapped(),
            Step::RemountReadOnly(path) => mount_remount(path, MountFlags::RDONLY, c""),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Unmount(path) => write!(out, "unmount {}", path.display()),
            Step::DetachLoops => out.write_str("detach loop devices"),
            Step::RemoveMapped => out.write_str("remove mapped devices"),
            Step::RemountReadOnly(path) => write!(out, "make {} read-only", path.display()),
        }
    }
}

impl Leftover {
    /// What makes the best of a mount that stays.
    fn read_only(&self) -> Option<Step> {
        match &self.step {
            Step::Unmount(path) => Some(Step::RemountReadOnly(path.clone())),
            _ => None,
        }
    }
}

impl fmt::Display for Leftover {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.why {
            Why::Refused(errno) => write!(out, "cannot {}: {errno}", self.step),
            Why::Hung => write!(out, "cannot {}: no answer in time", self.step),
        }
    }
}

/// Without the control node there is no device-mapper, and no mapped device.
fn remove_mapped() -> Outcome {
    let removed = Control::open().and_then(|control| control.remove_unused());
    match removed.map_err(|error| error.errno) {
        Err(Errno::NOENT | Errno::NODEV | Errno::NXIO) => Ok(()),
        outcome => outcome,
    }
}

fn detach_loops() -> Outcome {
    let attached = std::fs::read_dir("/sys/block").into_iter().flatten().flatten();
    for device in attached.filter(|device| device.path().join("loop").exists()) {
        let name = device.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("loop")?.parse().ok());
        number.map_or(Ok(()), loopdev::detach).map_err(|error| error.errno)?;
    }
    Ok(())
}

/// Absolute paths; those that are there stay.
fn make_directory(path: &str) -> sys::Result<()> {
    match mkdir(path, Mode::from_raw_mode(0o755)) {
        Err(Errno::EXIST) => Ok(()),
        outcome => outcome.to("make the directories of the exit root"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(mountinfo: &str) -> Vec<String> {
        plan(mountinfo).iter().map(Step::to_string).collect()
    }

    #[test]
    fn old_root_goes_before_its_devices_and_these_before_the_state() {
        let mountinfo = "\
            31 1 0:24 / / rw - tmpfs tmpfs rw\n\
            22 31 0:22 / /proc rw - proc proc rw\n\
            23 31 0:23 / /sys rw - sysfs sysfs rw\n\
            28 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n\
            24 31 0:6 / /dev rw - devtmpfs devtmpfs rw\n\
            29 24 0:29 / /dev/pts rw - devpts devpts rw\n\
            32 31 254:1 / /pintle/state rw - ext4 /dev/vda1 rw\n\
            33 31 253:0 / /pintle/exit/old ro - erofs /dev/dm-0 ro\n\
            34 33 0:30 / /pintle/exit/old/etc rw - overlay overlay rw\n\
            35 33 254:1 /data/var /pintle/exit/old/var rw - ext4 /dev/vda1 rw\n\
            36 31 0:40 / /user/1000 rw - tmpfs tmpfs rw\n";
        assert_eq!(
            shown(mountinfo),
            [
                "unmount /pintle/exit/old/var",
                "unmount /pintle/exit/old/etc",
                "unmount /pintle/exit/old",
                "detach loop devices",
                "unmount /user/1000",
                "unmount /pintle/state",
            ]
        );
    }

    #[test]
    fn names_that_only_begin_like_a_kept_one_are_taken_down() {
        let mountinfo = "1 0 0:1 / / rw - tmpfs a rw\n2 1 0:2 / /devices rw - tmpfs b rw\n";
        assert_eq!(shown(mountinfo).last().unwrap(), "unmount /devices");
    }

    #[test]
    fn step_that_hangs_is_told_apart_and_the_rest_is_done() {
        // A pipe that nobody writes to stands for a child that hangs.
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        assert_eq!(next_outcome(&reader, Duration::from_millis(1)), Next::Nothing);
        report(&writer, Err(Errno::BUSY));
        report(&writer, Ok(()));
        let next = || next_outcome(&reader, Duration::from_secs(60));
        assert_eq!((next(), next()), (Next::Came(Err(Errno::BUSY)), Next::Came(Ok(()))));
        let mut fed = 0;
        let limit = Duration::from_millis(10);
        assert_eq!(next_outcome_within(&reader, limit, &mut || fed += 1), None);
        assert!(fed > 0);
        drop(writer);
        assert_eq!(next(), Next::End);
    }

    #[test]
    fn child_answers_for_each_step() {
        let nowhere = Step::Unmount("/does/not/exist".into());
        let mut fed = 0;
        let limit = Duration::from_secs(60);
        let leftovers = carry_out(&[nowhere.clone(), nowhere.clone()], limit, &mut || fed += 1);
        let why = Why::Refused(Errno::NOENT);
        assert_eq!(leftovers, vec![Leftover { step: nowhere, why }; 2]);
        assert_eq!(fed, 2);
    }
}
