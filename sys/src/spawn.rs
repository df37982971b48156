//! A process made and turned into a program: into its cgroup at birth, watched by a pidfd, and
//! with the stage and cause of a failed exec sent back.
//!
//! Source: clone(2), execve(2), close_range(2); Linux 5.11 for `CLOSE_RANGE_CLOEXEC`.

use crate::{Purpose, Result, signals};
use nix::libc;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, fcntl_dupfd_cloexec, retry_on_intr};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    Gid, Pid, Resource, Rlimit, Signal, Uid, WaitId, WaitIdOptions, WaitIdStatus, chdir,
    ioctl_tiocsctty, pidfd_send_signal, setrlimit, setsid, waitid,
};
use rustix::thread::{set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use std::ffi::{CStr, CString, c_char};
use std::fmt;
use std::io::Write;
use std::time::Duration;

/// Most descriptors that one program is handed.
pub const DESCRIPTORS_MAX: usize = 64;

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Exit status of a child that could not become its program, as shells use it.
const EXEC_FAILED: i32 = 127;

/// Strings as execve takes them, made once and used at each start.
#[derive(Debug)]
pub struct StringArray {
    strings: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl StringArray {
    /// Keeps `strings` in their order.
    pub fn new(strings: Vec<CString>) -> StringArray {
        let end = std::ptr::null();
        let pointers = strings.iter().map(|string| string.as_ptr()).chain([end]).collect();
        StringArray { strings, pointers }
    }

    /// The strings.
    pub fn strings(&self) -> &[CString] {
        &self.strings
    }

    pub(crate) fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }
}

/// Who a program runs as.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// Real, effective and saved user.
    pub user: Uid,
    /// Real, effective and saved group.
    pub group: Gid,
    /// The supplementary groups, all of them.
    pub groups: &'a [Gid],
}

/// Whether a program and its children may gain privileges by exec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewPrivileges {
    /// setuid, setgid and file capabilities work.
    Allowed,
    /// `PR_SET_NO_NEW_PRIVS`.
    Denied,
}

/// A program to start, in a session of its own, with default signals and no descriptors but those
/// named.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// Absolute path of the executable, or one under `/proc/self`.
    pub path: &'a CStr,
    /// `argv`, the program's name first.
    pub arguments: &'a StringArray,
    /// `environ`.
    pub environment: &'a StringArray,
    /// Become descriptors 0, 1, 2, ... in this order; at most [`DESCRIPTORS_MAX`].
    pub descriptors: &'a [BorrowedFd<'a>],
    /// The cgroup directory to be born in; `None` for the parent's.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// Becomes the controlling terminal.
    pub terminal: Option<BorrowedFd<'a>>,
    /// `None` to stay who the parent is.
    pub identity: Option<Identity<'a>>,
    /// Whether exec may add privileges.
    pub new_privileges: NewPrivileges,
    /// Limits that differ from the parent's.
    pub limits: &'a [(Resource, Rlimit)],
    /// `oom_score_adj`, -1000..=1000; `None` for the parent's.
    pub oom_score_adjust: Option<i16>,
    /// Working directory, entered with the identity's rights; `None` for `/`.
    pub directory: Option<&'a CStr>,
}

impl<'a> Program<'a> {
    /// A program with nothing but its arguments and environment set.
    pub fn new(
        path: &'a CStr,
        arguments: &'a StringArray,
        environment: &'a StringArray,
    ) -> Program<'a> {
        Program {
            path,
            arguments,
            environment,
            descriptors: &[],
            cgroup: None,
            terminal: None,
            identity: None,
            new_privileges: NewPrivileges::Allowed,
            limits: &[],
            oom_score_adjust: None,
            directory: None,
        }
    }

    /// Makes the child and returns at once; whether it became the program is for
    /// [`Child::exec_outcome`] to say. Allocates nothing.
    pub fn start(&self) -> Result<Child> {
        let (failure, report) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)
            .to("make the pipe that reports a failed exec")?;
        match clone_into(self.cgroup)? {
            Some((pid, pidfd)) => Ok(Child { pid, pidfd, failure }),
            None => self.become_it(report.as_fd()),
        }
    }
}

/// A process that was started.
#[derive(Debug)]
pub struct Child {
    /// Its number, stable until it is reaped.
    pub pid: Pid,
    /// Becomes readable when it has ended.
    pub pidfd: OwnedFd,
    /// Becomes readable once the child is its program (end of file), or could not become it.
    pub failure: OwnedFd,
}

/// How far a child is on its way to its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecOutcome {
    /// Still preparing.
    Pending,
    /// It is its program.
    Done,
    /// It could not, and exits with 127.
    Failed(ExecError),
}

impl Child {
    /// Whether the child became its program; does not block.
    pub fn exec_outcome(&self) -> Result<ExecOutcome> {
        let mut report = [0; ExecError::LEN];
        match rustix::io::read(&self.failure, &mut report) {
            Ok(0) => Ok(ExecOutcome::Done),
            Ok(_) => Ok(ExecOutcome::Failed(ExecError::from_bytes(report))),
            Err(Errno::AGAIN) => Ok(ExecOutcome::Pending),
            Err(errno) => Err(errno).to("read how an exec went"),
        }
    }

    /// Sends a signal; never to a process that took over the number.
    pub fn kill(&self, signal: Signal) -> Result<()> {
        pidfd_send_signal(&self.pidfd, signal).to("signal a process")
    }

    /// Reaps the child if it has ended.
    pub fn reap(&self) -> Result<Option<Ended>> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let status = waitid(WaitId::PidFd(self.pidfd.as_fd()), options).to("reap a process")?;
        Ok(status.map(Ended::from_status))
    }

    /// Waits for the end of the child and reaps it; `None` when it still runs after `limit`.
    pub fn wait(&self, limit: Option<Duration>) -> Result<Option<Ended>> {
        let limit = limit.map(|limit| Timespec::try_from(limit).unwrap_or(FOR_EVER));
        let mut ended = [PollFd::new(&self.pidfd, PollFlags::IN)];
        match retry_on_intr(|| poll(&mut ended, limit.as_ref())) {
            Ok(_) => self.reap(),
            Err(errno) => Err(errno).to("wait for a process"),
        }
    }
}

const FOR_EVER: Timespec = Timespec { tv_sec: i64::MAX, tv_nsec: 0 };

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With a status.
    Exited(i32),
    /// By a signal.
    Killed(i32),
}

impl Ended {
    /// From what waitid tells of an ended child.
    pub fn from_status(status: WaitIdStatus) -> Ended {
        match status.exit_status() {
            Some(code) => Ended::Exited(code),
            None => Ended::Killed(status.terminating_signal().unwrap_or_default()),
        }
    }
}

/// A step of a child on its way to its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "`Display` says it")]
pub enum Stage {
    Session,
    Descriptors,
    Terminal,
    OomScore,
    Limits,
    Identity,
    Directory,
    NewPrivileges,
    Exec,
}

const STAGES: [Stage; 9] = [
    Stage::Session,
    Stage::Descriptors,
    Stage::Terminal,
    Stage::OomScore,
    Stage::Limits,
    Stage::Identity,
    Stage::Directory,
    Stage::NewPrivileges,
    Stage::Exec,
];

impl fmt::Display for Stage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Stage::Session => "begin a session",
            Stage::Descriptors => "hand over descriptors",
            Stage::Terminal => "take the controlling terminal",
            Stage::OomScore => "set the OOM score",
            Stage::Limits => "set resource limits",
            Stage::Identity => "change user and groups",
            Stage::Directory => "enter the working directory",
            Stage::NewPrivileges => "give up new privileges",
            Stage::Exec => "execute the program",
        })
    }
}

/// Why a child could not become its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecError {
    /// The step that failed.
    pub stage: Stage,
    /// The kernel's answer.
    pub errno: Errno,
}

impl ExecError {
    const LEN: usize = 8;

    fn to_bytes(self) -> [u8; ExecError::LEN] {
        let [a, b, c, d] = self.errno.raw_os_error().to_ne_bytes();
        [self.stage as u8, 0, 0, 0, a, b, c, d]
    }

    fn from_bytes([stage, _, _, _, a, b, c, d]: [u8; ExecError::LEN]) -> ExecError {
        ExecError {
            stage: STAGES.get(usize::from(stage)).copied().unwrap_or(Stage::Exec),
            errno: Errno::from_raw_os_error(i32::from_ne_bytes([a, b, c, d])),
        }
    }
}

impl fmt::Display for ExecError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "cannot {}: {}", self.stage, self.errno)
    }
}

impl std::error::Error for ExecError {}

/// The child's side. Between clone and exec nothing allocates or takes a lock, because what the
/// parent was doing at that moment is frozen in the child's copy of its memory.
impl Program<'_> {
    fn become_it(&self, report: BorrowedFd<'_>) -> ! {
        signals::reset();
        // Above the descriptors to be handed over, so that placing those does not close it.
        match fcntl_dupfd_cloexec(report, DESCRIPTORS_MAX as RawFd) {
            Ok(lifted) => tell(lifted.as_fd(), self.prepare_and_exec()),
            Err(errno) => tell(report, ExecError { stage: Stage::Descriptors, errno }),
        }
        exit_now(EXEC_FAILED)
    }

    /// Returns only when it failed.
    fn prepare_and_exec(&self) -> ExecError {
        match self.prepare() {
            Ok(()) => ExecError {
                stage: Stage::Exec,
                errno: execve(self.path, self.arguments, self.environment),
            },
            Err(failed) => failed,
        }
    }

    fn prepare(&self) -> std::result::Result<(), ExecError> {
        setsid().map(drop).at(Stage::Session)?;
        // The terminal may stand where a descriptor is going to be placed.
        self.terminal.map_or(Ok(()), ioctl_tiocsctty).at(Stage::Terminal)?;
        place_descriptors(self.descriptors).at(Stage::Descriptors)?;
        self.oom_score_adjust.map_or(Ok(()), set_oom_score).at(Stage::OomScore)?;
        set_limits(self.limits).at(Stage::Limits)?;
        self.identity.map_or(Ok(()), assume).at(Stage::Identity)?;
        chdir(self.directory.unwrap_or(c"/")).at(Stage::Directory)?;
        self.restrict().at(Stage::NewPrivileges)
    }

    fn restrict(&self) -> rustix::io::Result<()> {
        match self.new_privileges {
            NewPrivileges::Allowed => Ok(()),
            NewPrivileges::Denied => set_no_new_privs(true),
        }
    }
}

trait At {
    fn at(self, stage: Stage) -> std::result::Result<(), ExecError>;
}

impl At for rustix::io::Result<()> {
    fn at(self, stage: Stage) -> std::result::Result<(), ExecError> {
        self.map_err(|errno| ExecError { stage, errno })
    }
}

fn tell(report: BorrowedFd<'_>, failed: ExecError) {
    // With the report lost too, the exit status alone has to tell.
    rustix::io::write(report, &failed.to_bytes()).unwrap_or_default();
}

/// Copies the descriptors out of the way first: each may stand on another's place.
fn place_descriptors(descriptors: &[BorrowedFd<'_>]) -> rustix::io::Result<()> {
    let mut lifted = [-1; DESCRIPTORS_MAX];
    let lifted = lifted.get_mut(..descriptors.len()).ok_or(Errno::MFILE)?;
    for (slot, descriptor) in lifted.iter_mut().zip(descriptors) {
        *slot = fcntl_dupfd_cloexec(descriptor, DESCRIPTORS_MAX as RawFd)?.into_raw_fd();
    }
    for (place, &descriptor) in (0..).zip(lifted.iter()) {
        dup2(descriptor, place)?;
    }
    close_on_exec_from(descriptors.len() as u32)
}

fn dup2(descriptor: RawFd, place: RawFd) -> rustix::io::Result<()> {
    // SAFETY: the child is about to become another program: no value that owns `place` is used
    // or dropped any more.
    match unsafe { libc::dup2(descriptor, place) } {
        -1 => Err(last_errno()),
        _ => Ok(()),
    }
}

fn close_on_exec_from(first: u32) -> rustix::io::Result<()> {
    let (last, flags) = (u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
    // SAFETY: this closes nothing now, it only sets flags.
    match unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) } {
        -1 => Err(last_errno()),
        _ => Ok(()),
    }
}

fn set_oom_score(score: i16) -> rustix::io::Result<()> {
    let mut text = [0_u8; 8];
    let mut rest = text.as_mut_slice();
    write!(rest, "{score}").map_err(|_| Errno::INVAL)?;
    let unused = rest.len();
    let digits = text.get(..text.len() - unused).unwrap_or_default();
    let file = open("/proc/self/oom_score_adj", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(file, digits).map(drop)
}

fn set_limits(limits: &[(Resource, Rlimit)]) -> rustix::io::Result<()> {
    limits.iter().try_for_each(|(resource, limit)| setrlimit(*resource, *limit))
}

/// The kernel's own calls, which are for one thread; this child has no other.
fn assume(identity: Identity<'_>) -> rustix::io::Result<()> {
    set_thread_groups(identity.groups)?;
    set_thread_res_gid(identity.group, identity.group, identity.group)?;
    set_thread_res_uid(identity.user, identity.user, identity.user)
}

/// Runs `work` in a child that exits with its result: for calls that may hang for ever, so that
/// the parent can stop waiting. Only for a process with one thread.
pub fn fork(work: impl FnOnce() -> u8) -> Result<Child> {
    let (failure, _) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).to("make a pipe")?;
    match clone_into(None)? {
        Some((pid, pidfd)) => Ok(Child { pid, pidfd, failure }),
        None => exit_now(i32::from(work())),
    }
}

/// Replaces the calling program; returns only when that failed.
pub(crate) fn execve(path: &CStr, arguments: &StringArray, environment: &StringArray) -> Errno {
    // SAFETY: `StringArray` keeps zero-ended strings behind a null-ended array of pointers.
    unsafe { libc::execve(path.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    last_errno()
}

pub(crate) fn last_errno() -> Errno {
    Errno::from_raw_os_error(nix::errno::Errno::last_raw())
}

/// Ends the process at once: no destructor and no exit handler of the parent's runs.
pub(crate) fn exit_now(status: i32) -> ! {
    // SAFETY: `_exit` touches no memory of ours.
    unsafe { libc::_exit(status) }
}

/// `None` in the child.
fn clone_into(cgroup: Option<BorrowedFd<'_>>) -> Result<Option<(Pid, OwnedFd)>> {
    let mut pidfd: RawFd = -1;
    let arguments = CloneArguments::new(&raw mut pidfd, cgroup);
    let size = size_of::<CloneArguments>();
    // SAFETY: `arguments` is a `struct clone_args` of that size, `pidfd` outlives the call. The
    // child runs on a copy of this memory, and its callers keep to what may be done there.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size) };
    match pid {
        -1 => Err(last_errno()).to("make a process"),
        0 => Ok(None),
        // SAFETY: the kernel has just made this descriptor for us alone.
        _ => Ok(Pid::from_raw(pid as i32).zip(Some(unsafe { OwnedFd::from_raw_fd(pidfd) }))),
    }
}

/// `struct clone_args`, version 2 (Linux 5.7).
#[repr(C, align(8))]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const _: () = assert!(size_of::<CloneArguments>() == 88);

impl CloneArguments {
    fn new(pidfd: *mut RawFd, cgroup: Option<BorrowedFd<'_>>) -> CloneArguments {
        let into_cgroup = if cgroup.is_some() { CLONE_INTO_CGROUP } else { 0 };
        CloneArguments {
            flags: libc::CLONE_PIDFD as u64 | into_cgroup,
            pidfd: pidfd as u64,
            child_tid: 0,
            parent_tid: 0,
            exit_signal: libc::SIGCHLD as u64,
            stack: 0,
            stack_size: 0,
            tls: 0,
            set_tid: 0,
            set_tid_size: 0,
            cgroup: cgroup.map_or(0, |directory| directory.as_raw_fd() as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::AsFd;
    use std::os::fd::AsRawFd;

    fn strings(words: &[&str]) -> StringArray {
        StringArray::new(words.iter().map(|word| CString::new(*word).unwrap()).collect())
    }

    /// Runs a shell script with a pipe as descriptor 1 and gives what it wrote and how it ended.
    fn run(script: &str, shape: impl for<'a> Fn(&mut Program<'a>)) -> (String, Ended) {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        let (arguments, environment) = (strings(&["sh", "-c", script]), strings(&["A=1"]));
        let descriptors = [null.as_fd(), writer.as_fd(), writer.as_fd()];
        let mut program = Program::new(c"/bin/sh", &arguments, &environment);
        program.descriptors = &descriptors;
        shape(&mut program);
        let child = program.start().unwrap();
        drop(writer);
        let text = std::io::read_to_string(std::fs::File::from(reader)).unwrap();
        (text, child.wait(None).unwrap().unwrap())
    }

    #[test]
    fn program_gets_its_arguments_environment_and_descriptors() {
        let (text, ended) = run("echo $0 $A; ls /proc/self/fd | wc -w; exit 3", |_| {});
        // 0, 1, 2 and the directory that ls reads.
        assert_eq!(text, "sh 1\n4\n");
        assert_eq!(ended, Ended::Exited(3));
    }

    #[test]
    fn descriptors_may_be_handed_over_crosswise() {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let (out, error) = (std::io::stdout(), std::io::stderr());
        let (arguments, environment) = (strings(&["sh", "-c", "echo here >&3"]), strings(&[]));
        let descriptors = [error.as_fd(), error.as_fd(), out.as_fd(), writer.as_fd()];
        let mut program = Program::new(c"/bin/sh", &arguments, &environment);
        program.descriptors = &descriptors;
        let child = program.start().unwrap();
        drop(writer);
        assert_eq!(std::io::read_to_string(std::fs::File::from(reader)).unwrap(), "here\n");
        assert_eq!(child.wait(None).unwrap(), Some(Ended::Exited(0)));
    }

    #[test]
    fn signals_ignored_by_the_parent_are_default_in_the_child() {
        // Rust's runtime ignores SIGPIPE (bit 12 of SigIgn).
        let (text, _) = run("sed -n '/Sig[IBC]/p' /proc/self/status", |_| {});
        assert!(text.lines().all(|line| line.ends_with("\t0000000000000000")), "{text}");
    }

    #[test]
    fn child_leads_a_session() {
        let (text, _) = run("cut -d' ' -f1,6 /proc/$$/stat", |_| {});
        let (pid, session) = text.trim().split_once(' ').unwrap();
        assert_eq!(pid, session);
    }

    const NO_CORE: [(Resource, Rlimit); 1] =
        [(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })];

    #[test]
    fn identity_limits_directory_and_privileges_are_taken_on() {
        let script = "id -u; id -g; id -G; pwd; ulimit -c; grep NoNewPrivs /proc/self/status";
        let groups: &'static [Gid] = Box::leak(Box::new([Gid::from_raw(65532)]));
        let (text, _) = run(script, |program| {
            program.identity =
                Some(Identity { user: Uid::from_raw(65534), group: Gid::from_raw(65533), groups });
            program.directory = Some(c"/usr");
            program.limits = &NO_CORE;
            program.new_privileges = NewPrivileges::Denied;
            program.oom_score_adjust = Some(500);
        });
        assert_eq!(text, "65534\n65533\n65533 65532\n/usr\n0\nNoNewPrivs:\t1\n");
    }

    #[test]
    fn stage_and_cause_of_a_failed_exec_come_back() {
        let missing = |program: &mut Program<'_>| program.path = c"/does/not/exist";
        assert_eq!(failure(missing), ExecError { stage: Stage::Exec, errno: Errno::NOENT });
        let nowhere = |program: &mut Program<'_>| program.directory = Some(c"/does/not/exist");
        assert_eq!(failure(nowhere), ExecError { stage: Stage::Directory, errno: Errno::NOENT });
    }

    fn failure(shape: impl for<'a> Fn(&mut Program<'a>)) -> ExecError {
        let (arguments, environment) = (strings(&["true"]), strings(&[]));
        let mut program = Program::new(c"/bin/true", &arguments, &environment);
        shape(&mut program);
        let child = program.start().unwrap();
        assert_eq!(child.wait(None).unwrap(), Some(Ended::Exited(EXEC_FAILED)));
        match child.exec_outcome().unwrap() {
            ExecOutcome::Failed(error) => error,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn exec_that_worked_is_told_by_the_end_of_the_pipe() {
        let (arguments, environment) = (strings(&["true"]), strings(&[]));
        let child = Program::new(c"/bin/true", &arguments, &environment).start().unwrap();
        assert_eq!(child.wait(None).unwrap(), Some(Ended::Exited(0)));
        assert_eq!(child.exec_outcome().unwrap(), ExecOutcome::Done);
    }

    #[test]
    fn too_many_descriptors_are_an_error_of_the_child() {
        let null = std::fs::File::open("/dev/null").unwrap();
        let many = vec![null.as_fd(); DESCRIPTORS_MAX + 1];
        assert!(null.as_raw_fd() > 0);
        let (arguments, environment) = (strings(&["true"]), strings(&[]));
        let mut program = Program::new(c"/bin/true", &arguments, &environment);
        program.descriptors = &many;
        let child = program.start().unwrap();
        child.wait(None).unwrap();
        let failed = ExecError { stage: Stage::Descriptors, errno: Errno::MFILE };
        assert_eq!(child.exec_outcome().unwrap(), ExecOutcome::Failed(failed));
    }

    #[test]
    fn waiting_for_a_child_is_bounded() {
        let (arguments, environment) = (strings(&["sleep", "1000"]), strings(&[]));
        let child = Program::new(c"/bin/sleep", &arguments, &environment).start().unwrap();
        assert_eq!(child.wait(Some(Duration::from_millis(1))).unwrap(), None);
        child.kill(Signal::KILL).unwrap();
        assert_eq!(child.wait(None).unwrap(), Some(Ended::Killed(9)));
    }

    #[test]
    fn stages_survive_the_pipe() {
        for stage in STAGES {
            let error = ExecError { stage, errno: Errno::ACCESS };
            assert_eq!(ExecError::from_bytes(error.to_bytes()), error);
        }
    }
}
