//! The hands on one service's processes: its cgroup, its main process, its end.

use std::ffi::{CString, NulError};
use std::fmt;
use std::path::Path;

use pintle_config::{Command, CpuMax, Group, Kind, Service};
use pintle_sys::cgroup::Cgroup;
use pintle_sys::signals::{send, send_to_group};
use pintle_sys::spawn::{Child, ExecOutcome, Identity, Program, StringArray};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, fcntl_setfl, open};
use rustix::process::{Gid, Pid, Uid};

/// Where the services' cgroups are, a directory each.
pub(crate) const CGROUPS: &str = "/sys/fs/cgroup/pintle";

/// Where services say that they are ready (sd_notify(3)).
pub(crate) const NOTIFY_SOCKET: &str = "/run/pintle/notify";

/// What services find programs in, as Debian's and busybox' defaults have it, and `pintlectl` after all that.
const SEARCH_PATH: &str =
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/pintle/bin";

/// A service's main process and its cgroup.
pub(crate) struct Process {
    child: Child,
    cgroup: Cgroup,
    parent: OwnedFd,
    name: CString,
}

/// Why a service's process could not be made.
#[derive(Debug)]
pub(crate) enum Error {
    /// A text with a NUL byte, which no configuration lets through.
    Text(NulError),
    /// A terminal, `/dev/null` or the cgroups' directory that does not open.
    Open { path: String, errno: rustix::io::Errno },
    /// The kernel's refusal.
    Kernel(pintle_sys::Error),
}

impl Process {
    /// Starts the service's command in a cgroup of its own; whether the exec went through,
    /// [`exec_outcome`](Self::exec_outcome) says later.
    pub(crate) fn spawn(service: &Service) -> Result<Self, Error> {
        let parent = open_path(CGROUPS, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let name = CString::new(service.name.as_str())?;
        // What an earlier run left in it could keep processes out. Where one of them still ends, it is used as it is.
        Cgroup::remove(parent.as_fd(), &name).unwrap_or_default();
        let cgroup = Cgroup::create(parent.as_fd(), &name)?;
        limit(&cgroup, service)?;
        let child = start(service, &service.command, cgroup.as_fd())?;
        Ok(Self { child, cgroup, parent, name })
    }

    pub(crate) fn pid(&self) -> Pid {
        self.child.pid
    }

    /// Readable when [`exec_outcome`](Self::exec_outcome) has something to say.
    pub(crate) fn exec_pipe(&self) -> BorrowedFd<'_> {
        self.child.failure.as_fd()
    }

    pub(crate) fn exec_outcome(&self) -> Result<ExecOutcome, pintle_sys::Error> {
        self.child.exec_outcome()
    }

    /// Signals the main process and those of its session that did not leave its group; right after its start there is no
    /// group yet. One that is gone needs no signal.
    pub(crate) fn signal(&self, signal: u8) {
        let (pid, signal) = (self.child.pid, i32::from(signal));
        send_to_group(pid, signal).or_else(|_| send(pid, signal)).unwrap_or_default();
    }

    /// SIGKILL for everything in the cgroup.
    pub(crate) fn kill_all(&self) -> Result<(), pintle_sys::Error> {
        self.cgroup.kill()
    }

    /// Ends what the main process left behind. The cgroup goes when it is empty, or is used again by the next start.
    pub(crate) fn sweep(self) {
        self.cgroup.kill().unwrap_or_default();
        Cgroup::remove(self.parent.as_fd(), &self.name).unwrap_or_default();
    }
}

/// Starts `command` as the service's user in the service's cgroup.
pub(crate) fn run_beside(service: &Service, command: &Command) -> Result<Pid, Error> {
    let parent = open_path(CGROUPS, OFlags::RDONLY | OFlags::DIRECTORY)?;
    let cgroup = Cgroup::create(parent.as_fd(), &CString::new(service.name.as_str())?)?;
    start(service, command, cgroup.as_fd()).map(|child| child.pid)
}

fn limit(cgroup: &Cgroup, service: &Service) -> Result<(), pintle_sys::Error> {
    let limits = [
        (c"memory.max", service.memory_max.map(|limit| limit.get().to_string())),
        (c"cpu.weight", service.cpu_weight.map(|weight| weight.get().to_string())),
        (c"cpu.max", service.cpu_max.map(quota)),
        (c"pids.max", service.pids_max.map(|limit| limit.get().to_string())),
    ];
    let given = limits.into_iter().filter_map(|(file, value)| Some((file, value?)));
    given.into_iter().try_for_each(|(file, value)| cgroup.set(file, value.as_bytes()))
}

fn quota(max: CpuMax) -> String {
    let (quota, period) = max.quota_and_period();
    format!("{quota} {period}")
}

fn start(service: &Service, command: &Command, cgroup: BorrowedFd<'_>) -> Result<Child, Error> {
    let path = CString::new(command.program.as_str())?;
    let arguments = strings(command.argv().map(str::to_owned))?;
    let environment = strings(environment(service))?;
    let directory = CString::new(service.working_directory.as_str())?;
    let groups = groups(service);
    let streams = Streams::open(service)?;
    let program = Program {
        cgroup: Some(cgroup),
        descriptors: &[streams.input.as_fd(), streams.output.as_fd(), streams.output.as_fd()],
        terminal: streams.terminal(),
        identity: identity(service, &groups),
        oom_score_adjust: oom_score_adjust(service),
        directory: Some(&directory),
        ..Program::new(&path, &arguments, &environment)
    };
    Ok(program.start()?)
}

/// Standard input, and one descriptor for output and errors.
struct Streams {
    input: OwnedFd,
    output: OwnedFd,
    kind: Terminal,
}

enum Terminal {
    Controlling,
    None,
}

impl Streams {
    /// The service's terminal, or no input and the kernel log: a line there is a line of the service.
    fn open(service: &Service) -> Result<Self, Error> {
        match &service.tty {
            Some(tty) => {
                let (input, output) = (open_tty(tty.as_str())?, open_tty(tty.as_str())?);
                Ok(Self { input, output, kind: Terminal::Controlling })
            }
            None => Ok(Self {
                input: open_path("/dev/null", OFlags::RDONLY)?,
                output: open_path("/dev/kmsg", OFlags::WRONLY)?,
                kind: Terminal::None,
            }),
        }
    }

    fn terminal(&self) -> Option<BorrowedFd<'_>> {
        match self.kind {
            Terminal::Controlling => Some(self.input.as_fd()),
            Terminal::None => None,
        }
    }
}

fn environment(service: &Service) -> impl Iterator<Item = String> {
    let user = service.user.iter().flat_map(|user| {
        [
            format!("USER={}", user.name),
            format!("LOGNAME={}", user.name),
            format!("HOME={}", user.home),
        ]
    });
    let notify = (service.kind == Kind::Notify).then(|| format!("NOTIFY_SOCKET={NOTIFY_SOCKET}"));
    let own = service.environment.iter().map(ToString::to_string);
    // The last of several wins nowhere for certain, so each name is given once: the service's own word counts.
    let given = |variable: &String| {
        let name = variable.split('=').next().unwrap_or_default();
        service.environment.get(name).is_none()
    };
    std::iter::once(SEARCH_PATH.to_owned()).chain(user).chain(notify).filter(given).chain(own)
}

fn groups(service: &Service) -> Vec<Gid> {
    let users = service.user.iter().flat_map(|user| user.groups.iter().copied());
    let more = service.supplementary_groups.iter().map(|group| group.0);
    users.chain(more).map(|id| Gid::from_raw(id.get())).collect()
}

fn identity<'a>(service: &Service, groups: &'a [Gid]) -> Option<Identity<'a>> {
    let own = |group: &Group| group.0;
    let user = service.user.as_ref();
    if user.is_none() && service.group.is_none() && groups.is_empty() {
        return None;
    }
    let group = service.group.as_ref().map(own).or(user.map(|user| user.gid));
    Some(Identity {
        user: user.map_or(Uid::ROOT, |user| Uid::from_raw(user.uid.get())),
        group: group.map_or(Gid::ROOT, |group| Gid::from_raw(group.get())),
        groups,
    })
}

/// PID 1 itself stands at 0, so that 0 needs no write.
fn oom_score_adjust(service: &Service) -> Option<i16> {
    i16::try_from(service.oom_score_adjust.get()).ok().filter(|adjust| *adjust != 0)
}

fn strings(texts: impl Iterator<Item = String>) -> Result<StringArray, NulError> {
    texts.map(CString::new).collect::<Result<_, _>>().map(StringArray::new)
}

fn open_path(path: &str, flags: OFlags) -> Result<OwnedFd, Error> {
    open(Path::new(path), flags | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| Error::Open { path: path.to_owned(), errno })
}

/// Without waiting for a carrier, which may never come; the service then has it as a terminal is by default.
fn open_tty(path: &str) -> Result<OwnedFd, Error> {
    let tty = open_path(path, OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK)?;
    match fcntl_setfl(&tty, OFlags::empty()) {
        Ok(()) => Ok(tty),
        Err(errno) => Err(Error::Open { path: path.to_owned(), errno }),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Text(error) => write!(f, "cannot hand over an argument: {error}"),
            Error::Open { path, errno } => write!(f, "cannot open {path}: {errno}"),
            Error::Kernel(error) => error.fmt(f),
        }
    }
}

impl From<NulError> for Error {
    fn from(error: NulError) -> Self {
        Error::Text(error)
    }
}

impl From<pintle_sys::Error> for Error {
    fn from(error: pintle_sys::Error) -> Self {
        Error::Kernel(error)
    }
}
