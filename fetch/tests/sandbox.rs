//! What the worker cannot do once it has shut itself in: each action is tried by a process that has not, where it is not
//! forbidden, and by one that has, where it is. Needs root, to start both as another user.
//!
//! Without libtest, which has more than one thread.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread;

use nix::sched::{CloneFlags, CpuSet, sched_setaffinity, unshare};
use nix::sys::{personality, ptrace};
use nix::unistd::{Gid, Pid, Uid};
use pintle_fetch::sandbox::{self, Confinement};
use pintle_sys::spawn::{Ended, Identity, NewPrivileges, Program, StringArray};
use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::fs::{self as rfs, AtFlags, CWD, FileType, MemfdFlags, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, socket, sockopt};
use rustix::process::{self as process, PidfdFlags, Resource, Rlimit};
use rustix::thread::CapabilitySets;
use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};

/// An action and its name.
type Row = (&'static str, fn(&Tools) -> io::Result<()>);

/// What actions are tried on: things that whoever tries them may do all of this to.
struct Tools {
    folder: PathBuf,
    file: File,
}

impl Tools {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

const ROWS: &[Row] = &[
    // Files by name.
    ("read a file", |_| File::open("/etc/passwd").map(drop)),
    ("make a file", |t| File::create(t.path("new")).map(drop)),
    ("open by openat2", |t| {
        let (flags, mode, resolve) = (OFlags::RDONLY, Mode::empty(), ResolveFlags::BENEATH);
        Ok(rfs::openat2(&File::open(&t.folder)?, "file", flags, mode, resolve).map(drop)?)
    }),
    ("read a directory", |_| fs::read_dir("/").map(drop)),
    ("make a directory", |t| fs::create_dir(t.path("folder"))),
    ("remove a directory", |t| fs::remove_dir(t.path("folder"))),
    ("make a hard link", |t| fs::hard_link(t.path("file"), t.path("link"))),
    ("make a symbolic link", |t| symlink("file", t.path("symlink"))),
    ("read a symbolic link", |_| fs::read_link("/proc/self/exe").map(drop)),
    ("rename a file", |t| fs::rename(t.path("link"), t.path("renamed"))),
    ("remove a file", |t| fs::remove_file(t.path("renamed"))),
    ("make a FIFO", |t| Ok(rfs::mknodat(CWD, t.path("fifo"), FileType::Fifo, Mode::RUSR, 0)?)),
    ("look at a file", |t| fs::metadata(t.path("file")).map(drop)),
    ("ask for access", |t| Ok(rfs::access(t.path("file"), rfs::Access::READ_OK)?)),
    ("truncate a file by name", |t| Ok(nix::unistd::truncate(&t.path("file"), 0)?)),
    ("change a file's mode", |t| {
        fs::set_permissions(t.path("file"), Permissions::from_mode(0o600))
    }),
    ("change a file's owner", |t| chown(t.path("file"), Some(NOBODY), None)),
    ("change a file's times", |t| {
        let now = rfs::Timestamps {
            last_access: rfs::Timespec { tv_sec: 0, tv_nsec: rfs::UTIME_NOW },
            last_modification: rfs::Timespec { tv_sec: 0, tv_nsec: rfs::UTIME_NOW },
        };
        Ok(rfs::utimensat(CWD, t.path("file"), &now, AtFlags::empty())?)
    }),
    ("change directory", |_| std::env::set_current_dir("/")),
    ("look at a file system", |_| Ok(rfs::statfs("/").map(drop)?)),
    ("watch files", |_| Ok(rfs::inotify::init(rfs::inotify::CreateFlags::CLOEXEC).map(drop)?)),
    // Open files.
    ("change an open file's mode", |t| t.file.set_permissions(Permissions::from_mode(0o600))),
    ("copy between files in the kernel", |t| {
        Ok(rfs::copy_file_range(&t.file, None, &t.file, None, 0).map(drop)?)
    }),
    ("lock a file", |t| Ok(rfs::flock(&t.file, rfs::FlockOperation::NonBlockingLockShared)?)),
    ("have blocks removed from a file", |t| {
        but(
            Errno::OPNOTSUPP,
            Ok(rfs::fallocate(&t.file, rfs::FallocateFlags::ZERO_RANGE, 0, 4096)?),
        )
    }),
    ("make a file in memory", |_| Ok(rfs::memfd_create(c"x", MemfdFlags::CLOEXEC).map(drop)?)),
    ("make a pipe", |_| Ok(rustix::pipe::pipe().map(drop)?)),
    ("duplicate a descriptor", |t| Ok(rustix::io::dup(&t.file).map(drop)?)),
    ("ask by ioctl", |t| Ok(rustix::io::ioctl_fionread(&t.file).map(drop)?)),
    // Processes.
    ("start a program", |_| Command::new("/bin/true").status().map(drop)),
    ("become a program", |_| but(Errno::NOENT, Err(Command::new("/nonexistent").exec()))),
    ("start a thread", |_| thread::Builder::new().spawn(|| ()).map(|it| it.join().unwrap())),
    ("signal a process", |_| Ok(process::test_kill_process(process::getpid())?)),
    ("signal a process group", |_| Ok(process::test_kill_process_group(process::getpid())?)),
    ("hold a process", |_| {
        Ok(process::pidfd_open(process::getpid(), PidfdFlags::empty()).map(drop)?)
    }),
    ("wait for a process", |_| {
        let waited = process::wait(process::WaitOptions::NOHANG);
        but(Errno::CHILD, waited.map(drop).map_err(io::Error::from))
    }),
    ("read a process's memory", |_| {
        let mut byte = [0];
        let here = nix::sys::uio::RemoteIoVec { base: ROWS.as_ptr() as usize, len: 1 };
        let mut local = [io::IoSliceMut::new(&mut byte)];
        Ok(nix::sys::uio::process_vm_readv(Pid::this(), &mut local, &[here]).map(drop)?)
    }),
    ("become another user", |_| Ok(nix::unistd::setuid(Uid::current())?)),
    ("become another group", |_| Ok(nix::unistd::setgid(Gid::current())?)),
    ("set capabilities", |_| {
        let sets: CapabilitySets = rustix::thread::capabilities(None)?;
        Ok(rustix::thread::set_capabilities(None, sets)?)
    }),
    ("leave a namespace", |_| Ok(unshare(CloneFlags::CLONE_FS)?)),
    ("choose processors", |_| {
        let mut set = CpuSet::new();
        (0..CpuSet::count()).try_for_each(|number| set.set(number))?;
        Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
    }),
    ("change its priority", |_| Ok(process::setpriority_process(None, 19)?)),
    ("set a resource limit", |_| {
        let none = Rlimit { current: Some(0), maximum: Some(0) };
        Ok(process::setrlimit(Resource::Msgqueue, none)?)
    }),
    ("have another personality", |_| Ok(personality::set(personality::get()?).map(drop)?)),
    ("take another name", |_| Ok(rustix::thread::set_name(c"init")?)),
    ("be traced again", |_| {
        Ok(process::set_dumpable_behavior(process::DumpableBehavior::Dumpable)?)
    }),
    // Events.
    ("make a timer", |_| {
        Ok(timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::empty()).map(drop)?)
    }),
    ("make an epoll", |_| Ok(epoll::create(epoll::CreateFlags::empty()).map(drop)?)),
    ("make an eventfd", |_| Ok(eventfd(0, EventfdFlags::empty()).map(drop)?)),
    // Networks.
    ("make a unix socket", |_| UnixDatagram::unbound().map(drop)),
    ("make a pair of sockets", |_| UnixStream::pair().map(drop)),
    ("listen on a unix socket", |t| UnixListener::bind(t.path("socket")).map(drop)),
    ("speak to the kernel's network", |_| {
        Ok(socket(AddressFamily::NETLINK, SocketType::RAW, None).map(drop)?)
    }),
    ("listen on a TCP port", |_| TcpListener::bind("127.0.0.1:0").map(drop)),
    ("take a UDP port", |_| UdpSocket::bind("127.0.0.1:0").map(drop)),
    ("share a port", |_| {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        Ok(sockopt::set_socket_reuseaddr(&socket, true)?)
    }),
    // The last, for it has effects on what comes after it.
    ("have itself traced", |_| Ok(ptrace::traceme()?)),
];

/// The least that the list must have.
const ROWS_MIN: usize = 40;

/// A user and group that own nothing.
const NOBODY: u32 = 65_530;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("outside") => try_all(|_| ()),
        Some("inside") => try_all(shut_in),
        _ => compare(),
    }
    ExitCode::SUCCESS
}

/// An error that only somebody gets who may do it.
fn but(errno: Errno, tried: io::Result<()>) -> io::Result<()> {
    match tried {
        Err(error) if error.raw_os_error() == Some(errno.raw_os_error()) => Ok(()),
        tried => tried,
    }
}

fn shut_in(file: &File) {
    let confinement = Confinement { directory: None, file_size_max: 1 << 20, descriptors_max: 64 };
    sandbox::enter(&confinement).unwrap();
    // What it is for still works.
    rfs::ftruncate(file, 5).unwrap();
}

/// Tries each action and says a line for it: a number, which is 0 where it was done.
fn try_all(prepare: fn(&File)) {
    let folder = PathBuf::from(std::env::args().nth(2).unwrap());
    let file = File::options().read(true).write(true).open(folder.join("file")).unwrap();
    let tools = Tools { folder, file };
    prepare(&tools.file);
    for (name, action) in ROWS {
        let errno = action(&tools).err().map_or(0, |error| error.raw_os_error().unwrap_or(-1));
        println!("{errno} {name}");
    }
}

fn compare() {
    let [outside, inside] = ["outside", "inside"].map(results);
    assert_eq!((outside.len(), inside.len()), (ROWS.len(), ROWS.len()));
    let refused = Errno::PERM.raw_os_error();
    let wrong = |(name, _): &&Row| (outside[*name], inside[*name]) != (0, refused);
    let wrong = ROWS
        .iter()
        .filter(wrong)
        .map(|(name, _)| format!("{name}: {} outside, {} inside", outside[*name], inside[*name]));
    assert_eq!(wrong.collect::<Vec<_>>(), [""; 0]);
    const { assert!(ROWS.len() >= ROWS_MIN) };
    println!("{} actions are refused inside, and none of them outside", ROWS.len());
}

fn results(place: &str) -> BTreeMap<String, i32> {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::write(folder.path().join("file"), "content").unwrap();
    for path in [folder.path(), &folder.path().join("file")] {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let said = run(&program, &[place, folder.path().to_str().unwrap()]);
    let line = |line: &str| {
        let (errno, name) = line.split_once(' ').unwrap();
        (name.to_owned(), errno.parse().unwrap())
    };
    said.lines().map(line).collect()
}

/// What the program says that is started as nobody.
fn run(program: &Path, arguments: &[&str]) -> String {
    let (output, said) = rustix::pipe::pipe().unwrap();
    let (stdin, stderr) = (File::open("/dev/null").unwrap(), io::stderr());
    let words = [&[program.to_str().unwrap()], arguments].concat();
    let words = words.into_iter().map(|word| CString::new(word).unwrap()).collect();
    let (arguments, environment) = (StringArray::new(words), StringArray::new(vec![]));
    let descriptors: [BorrowedFd<'_>; 3] = [stdin.as_fd(), said.as_fd(), stderr.as_fd()];
    let (user, group) = (process::Uid::from_raw(NOBODY), process::Gid::from_raw(NOBODY));
    let program = Program {
        descriptors: &descriptors,
        identity: Some(Identity { user, group, groups: &[] }),
        new_privileges: NewPrivileges::Denied,
        ..Program::new(&arguments.strings()[0], &arguments, &environment)
    };
    let child = program.start().unwrap();
    drop(said);
    let mut text = String::new();
    File::from(output).read_to_string(&mut text).unwrap();
    io::stderr().flush().unwrap();
    assert_eq!(child.wait(None).unwrap(), Some(Ended::Exited(0)), "{text}");
    text
}
