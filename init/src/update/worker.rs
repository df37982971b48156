//! Starting the worker, hearing it, and being sure that it is gone.
//!
//! It is started with a user of its own, in a cgroup of its own, with nothing but its job and the files that it fills. What
//! it wrote is looked at only when its cgroup is empty: then nobody is left who could change it.

use std::ffi::CString;
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use pintle_sys::cgroup::{Cgroup, Population};
use pintle_sys::spawn::{Child, Identity, NewPrivileges, Program, StringArray};
use pintle_update::worker::{self, Job, SAID_MAX, Said};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FlockOperation, MemfdFlags, Mode, OFlags, flock, memfd_create, open};
use rustix::io::{Errno, retry_on_intr};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Gid, Resource, Rlimit, Uid};

/// In the image, verified with it.
pub(crate) const PATH: &str = "/usr/lib/pintle/pintle-fetch";

/// A user and group that own nothing: outside of what systems give to people, services and dynamic users.
const NOBODY: u32 = 65_530;

/// The cgroup's parent.
const CGROUPS: &str = "/sys/fs/cgroup";

/// The cgroup of the worker; one works at a time.
const CGROUP: &str = "pintle-fetch";

/// Locked by who has a worker: the service and an operator can want one at the same time.
const TURN: &str = "/run/pintle/fetch.lock";

/// Twice what it may need; the pages of the files that it writes count too, until they are on the disk.
const MEMORY: (&str, &str) = ("96M", "128M");

/// Its job, its answers, its files, and a few connections.
const DESCRIPTORS: u64 = 128;

/// How long a killed worker may take to be gone. One that hangs on a disk takes as long as the disk.
const END: Duration = Duration::from_secs(30);

/// Beyond the limit that it has itself, before it is thought to hang.
const GRACE: Duration = Duration::from_secs(60);

/// What the worker has to do it with.
pub(crate) struct Work<'a> {
    pub(crate) job: &'a Job,
    /// In the order that [`worker`] says.
    pub(crate) files: &'a [BorrowedFd<'a>],
    /// The size of the largest file that it may write.
    pub(crate) largest: u64,
    /// How long it may take.
    pub(crate) limit: Duration,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Error {
    /// The image has no worker.
    Missing,
    /// It cannot be started, heard, or ended.
    Kernel { what: &'static str, errno: Errno },
    /// It says what cannot be understood.
    Said(worker::Error),
    /// It ended in the middle of its work.
    Died,
    /// It did not end in time.
    TooLate,
}

/// Has the work done; `heard` hears all but the last that the worker says, which is returned.
///
/// It waits while somebody else has a worker, which ends in its own time.
pub(crate) fn work(work: &Work<'_>, heard: &mut dyn FnMut(&Said)) -> Result<Said, Error> {
    let _turn = turn().map_err(kernel("wait for the worker of another update"))?;
    let (answers, cage, child) = start(work)?;
    let last = hear(&answers, work.limit.saturating_add(GRACE), heard);
    cage.clear()?;
    child.wait(Some(END)).map_err(of_sys)?;
    last
}

/// Held as long as the value lives.
fn turn() -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let lock = open(TURN, flags, Mode::RUSR | Mode::WUSR)?;
    retry_on_intr(|| flock(&lock, FlockOperation::LockExclusive))?;
    Ok(lock)
}

fn start(work: &Work<'_>) -> Result<(OwnedFd, Cage, Child), Error> {
    if !Path::new(PATH).exists() {
        return Err(Error::Missing);
    }
    let job = as_file(work.job)?;
    let (answers, said) = pipe_with(PipeFlags::CLOEXEC).map_err(kernel("make a pipe"))?;
    let cage = Cage::make()?;
    let log = log().map_err(kernel("open /dev/null"))?;
    let mut descriptors = vec![job.as_fd(), said.as_fd(), log.as_fd()];
    descriptors.extend(work.files);
    let limits =
        [(Resource::Fsize, work.largest), (Resource::Nofile, DESCRIPTORS), (Resource::Core, 0)]
            .map(|(resource, most)| {
                (resource, Rlimit { current: Some(most), maximum: Some(most) })
            });
    let (path, arguments) = (CString::new(PATH).unwrap_or_default(), words(&["pintle-fetch"]));
    let environment = words(&[]);
    let program = Program {
        descriptors: &descriptors,
        cgroup: cage.cgroup.as_ref().map(AsFd::as_fd),
        identity: Some(Identity {
            user: Uid::from_raw(NOBODY),
            group: Gid::from_raw(NOBODY),
            groups: &[],
        }),
        new_privileges: NewPrivileges::Denied,
        limits: &limits,
        oom_score_adjust: Some(500),
        ..Program::new(&path, &arguments, &environment)
    };
    let child = program.start().map_err(of_sys)?;
    Ok((answers, cage, child))
}

/// What the worker panics with goes to the kernel log.
fn log() -> Result<OwnedFd, Errno> {
    let open = |path| open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
    open("/dev/kmsg").or_else(|_| open("/dev/null"))
}

fn as_file(job: &Job) -> Result<OwnedFd, Error> {
    let file = memfd_create("job", MemfdFlags::CLOEXEC).map_err(kernel("make a file in memory"))?;
    let bytes = job.to_bytes().map_err(Error::Said)?;
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let offset = (bytes.len() - rest.len()) as u64;
        let written = rustix::io::pwrite(&file, rest, offset).map_err(kernel("write the job"))?;
        rest = rest.get(written..).unwrap_or_default();
    }
    Ok(file)
}

fn hear(answers: &OwnedFd, limit: Duration, heard: &mut dyn FnMut(&Said)) -> Result<Said, Error> {
    let deadline = Instant::now() + limit;
    let (mut received, mut buffer) = (Vec::new(), vec![0; SAID_MAX]);
    loop {
        while let Some(said) = Said::take(&mut received).map_err(Error::Said)? {
            if said.is_the_end() {
                return Ok(said);
            }
            heard(&said);
        }
        wait(answers.as_fd(), PollFlags::IN, deadline)?;
        match retry_on_intr(|| rustix::io::read(answers, buffer.as_mut_slice())) {
            Ok(0) => return Err(Error::Died),
            Ok(length) => received.extend_from_slice(buffer.get(..length).unwrap_or_default()),
            Err(errno) => return Err(Error::Kernel { what: "hear the worker", errno }),
        }
    }
}

fn wait(fd: BorrowedFd<'_>, flags: PollFlags, deadline: Instant) -> Result<(), Error> {
    let left = deadline.saturating_duration_since(Instant::now());
    let left = Timespec::try_from(left).map_err(|_| Error::TooLate)?;
    let mut ready = [PollFd::from_borrowed_fd(fd, flags)];
    match retry_on_intr(|| poll(&mut ready, Some(&left))) {
        Ok(0) => Err(Error::TooLate),
        Ok(_) => Ok(()),
        Err(errno) => Err(Error::Kernel { what: "wait for the worker", errno }),
    }
}

/// Where the worker is kept; dropped, it kills what is in it.
struct Cage {
    parent: OwnedFd,
    name: CString,
    cgroup: Option<Cgroup>,
}

impl Cage {
    /// What a worker of an earlier life left behind is ended first.
    fn make() -> Result<Self, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent =
            open(CGROUPS, flags, Mode::empty()).map_err(kernel("open the cgroups' directory"))?;
        let name = CString::new(CGROUP).unwrap_or_default();
        let cgroup = Cgroup::create(parent.as_fd(), &name).map_err(of_sys)?;
        let mut cage = Self { parent, name, cgroup: Some(cgroup) };
        cage.empty()?;
        let cgroup = Cgroup::create(cage.parent.as_fd(), &cage.name).map_err(of_sys)?;
        // Without the memory controller the worker's own limits still hold.
        let (high, max) = MEMORY;
        cgroup.set(c"memory.high", high.as_bytes()).unwrap_or_default();
        cgroup.set(c"memory.max", max.as_bytes()).unwrap_or_default();
        cage.cgroup = Some(cgroup);
        Ok(cage)
    }

    /// Ends whoever is in it, and returns when nobody is.
    fn clear(mut self) -> Result<(), Error> {
        self.empty()
    }

    fn empty(&mut self) -> Result<(), Error> {
        let Some(cgroup) = self.cgroup.take() else { return Ok(()) };
        cgroup.kill().map_err(of_sys)?;
        let deadline = Instant::now() + END;
        while cgroup.population().map_err(of_sys)? == Population::Populated {
            wait(cgroup.events(), PollFlags::PRI, deadline)?;
        }
        Cgroup::remove(self.parent.as_fd(), &self.name).map_err(of_sys)
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        // An error is told where the worker's answer is waited for.
        self.empty().unwrap_or_default();
    }
}

fn words(words: &[&str]) -> StringArray {
    StringArray::new(words.iter().filter_map(|word| CString::new(*word).ok()).collect())
}

fn kernel(what: &'static str) -> impl Fn(Errno) -> Error {
    move |errno| Error::Kernel { what, errno }
}

fn of_sys(error: pintle_sys::Error) -> Error {
    Error::Kernel { what: error.what, errno: error.errno }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(f, "cannot fetch: the image has no {PATH}"),
            Self::Kernel { what, errno } => write!(f, "cannot {what}: {errno}"),
            Self::Said(cause) => cause.fmt(f),
            Self::Died => f.write_str("cannot fetch: the worker died"),
            Self::TooLate => f.write_str("cannot fetch: the worker did not end in time"),
        }
    }
}
