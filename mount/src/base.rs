//! The kernel's own file systems.

use crate::error::Result;
use pintle_sys::Purpose;
use rustix::fs::{Mode, mkdir};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};
use std::ffi::CStr;

struct Base {
    kind: &'static CStr,
    at: &'static CStr,
    flags: MountFlags,
    options: &'static CStr,
    what: &'static str,
}

const NOTHING_RUNS: MountFlags =
    MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);

const PROC: Base = Base {
    kind: c"proc",
    at: c"/proc",
    flags: NOTHING_RUNS,
    options: c"",
    what: "mount proc on /proc",
};

const SYS: Base = Base {
    kind: c"sysfs",
    at: c"/sys",
    flags: NOTHING_RUNS,
    options: c"",
    what: "mount sysfs on /sys",
};

const DEV: Base = Base {
    kind: c"devtmpfs",
    at: c"/dev",
    flags: MountFlags::NOSUID,
    options: c"mode=0755",
    what: "mount devtmpfs on /dev",
};

/// Small, because all that is in it is memory that the services do not get.
const RUN: Base = Base {
    kind: c"tmpfs",
    at: c"/run",
    flags: MountFlags::NOSUID.union(MountFlags::NODEV),
    options: c"mode=0755,size=20%,nr_inodes=800k",
    what: "mount tmpfs on /run",
};

const CGROUP: Base = Base {
    kind: c"cgroup2",
    at: c"/sys/fs/cgroup",
    flags: NOTHING_RUNS,
    options: c"nsdelegate,memory_recursiveprot",
    what: "mount cgroup2 on /sys/fs/cgroup",
};

const PTS: Base = Base {
    kind: c"devpts",
    at: c"/dev/pts",
    flags: MountFlags::NOSUID.union(MountFlags::NOEXEC),
    options: c"gid=5,mode=0620,ptmxmode=0666",
    what: "mount devpts on /dev/pts",
};

const SHM: Base = Base {
    kind: c"tmpfs",
    at: c"/dev/shm",
    flags: MountFlags::NOSUID.union(MountFlags::NODEV),
    options: c"mode=1777",
    what: "mount tmpfs on /dev/shm",
};

/// Scratch space, in memory because the root cannot be written.
const TMP: Base = Base {
    kind: c"tmpfs",
    at: c"/tmp",
    flags: MountFlags::NOSUID.union(MountFlags::NODEV),
    options: c"mode=1777,size=50%,nr_inodes=1m",
    what: "mount tmpfs on /tmp",
};

/// What stage 1 needs: `/proc`, `/sys`, `/dev`, `/run`. What is mounted already stays as it is.
pub fn mount_first() -> Result<()> {
    mount_each(&[PROC, SYS, DEV, RUN])
}

/// What services need besides: cgroups, pseudo terminals, shared memory, scratch space.
pub fn mount_rest() -> Result<()> {
    mount_each(&[CGROUP, PTS, SHM, TMP])
}

/// All that can be; the first that cannot is the error.
fn mount_each(wanted: &[Base]) -> Result<()> {
    let outcomes: Vec<_> = wanted.iter().map(|base| mount_one(base).to(base.what)).collect();
    outcomes.into_iter().collect::<pintle_sys::Result<()>>().map_err(Into::into)
}

fn mount_one(base: &Base) -> rustix::io::Result<()> {
    match try_mount(base) {
        Err(Errno::NOENT) => make_place(base),
        outcome => outcome,
    }
}

/// An image that has no such directory does without what belongs there.
fn make_place(base: &Base) -> rustix::io::Result<()> {
    match mkdir(base.at, Mode::from_raw_mode(0o755)) {
        Ok(()) => try_mount(base),
        Err(Errno::ROFS) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// EBUSY says that the same file system is there already.
fn try_mount(base: &Base) -> rustix::io::Result<()> {
    match mount(base.kind, base.at, base.kind, base.flags, base.options) {
        Err(Errno::BUSY) => Ok(()),
        outcome => outcome,
    }
}
