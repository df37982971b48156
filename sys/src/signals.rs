//! Signals as a descriptor, and the calling process's mask and dispositions.
//!
//! Source: signalfd(2), signal(7).

use crate::{Error, Result};
use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow, kill, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;
use rustix::process::{Pid, Signal};

/// Signals are numbered 1..=64 on every architecture that Linux has but MIPS.
const SIGNALS: libc::c_long = 64;

/// Signals that are blocked and wait to be read.
///
/// Holding the value means that the signals it was made for do not interrupt the process.
#[derive(Debug)]
pub struct Signals(SignalFd);

/// A signal that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its number; the real-time signals have no name.
    pub number: i32,
    /// Who sent it, or which child it is about; `None` for the kernel.
    pub sender: Option<Pid>,
}

impl Received {
    /// Whether it is the signal named.
    pub fn is(&self, signal: Signal) -> bool {
        self.number == signal.as_raw()
    }
}

impl Signals {
    /// Blocks the signals numbered and opens a non-blocking descriptor that reads them. Numbers,
    /// because PID 1 listens to real-time signals too (`SIGRTMIN+4` is power off).
    pub fn take_over(numbers: &[i32]) -> Result<Signals> {
        let mask = set_of(numbers)?;
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), None)
            .map_err(|errno| failed("block signals", errno))?;
        SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
            .map(Signals)
            .map_err(|errno| failed("open the signal descriptor", errno))
    }

    /// The next signal, `None` when none is waiting.
    pub fn next(&self) -> Result<Option<Received>> {
        let info = self.0.read_signal().map_err(|errno| failed("read a signal", errno))?;
        Ok(info.map(|info| Received {
            number: info.ssi_signo.cast_signed(),
            sender: Pid::from_raw(info.ssi_pid.cast_signed()),
        }))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// SIGKILL for every process but PID 1 and the caller. Processes that cannot die yet can block it.
pub fn kill_everything() -> Result<()> {
    const EVERYTHING: nix::unistd::Pid = nix::unistd::Pid::from_raw(-1);
    kill(EVERYTHING, nix::sys::signal::Signal::SIGKILL)
        .map_err(|errno| failed("end all processes", errno))
}

/// Sends a signal by its number, which may be a real-time one, to a process.
pub fn send(to: rustix::process::Pid, number: i32) -> Result<()> {
    send_raw(to.as_raw_nonzero().get(), number)
}

/// Sends a signal by its number to all processes of a group.
pub fn send_to_group(group: rustix::process::Pid, number: i32) -> Result<()> {
    send_raw(-group.as_raw_nonzero().get(), number)
}

fn send_raw(to: i32, number: i32) -> Result<()> {
    // SAFETY: kill(2) takes two numbers and touches no memory; it refuses those that mean nothing.
    match unsafe { libc::kill(to, number) } {
        0 => Ok(()),
        _ => Err(failed("signal a process", nix::errno::Errno::last())),
    }
}

/// Gives every signal its default disposition and unblocks all. What PID 1 blocks and ignores
/// would otherwise stay blocked and ignored in the programs it executes.
///
/// Allocates nothing, so that it may be called between clone and exec and in a signal handler.
pub fn reset() {
    for number in 1..=SIGNALS {
        set_default(number);
    }
    // Setting a valid mask from valid memory cannot fail.
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None).unwrap_or_default();
}

/// The kernel's call and not libc's, which refuses the two real-time signals it keeps to itself.
fn set_default(number: libc::c_long) {
    // `struct kernel_sigaction` with SIG_DFL, no flags and an empty mask.
    let default = [0_u64; 4];
    let (new, old) = (default.as_ptr(), std::ptr::null_mut::<u64>());
    // SAFETY: SIG_DFL runs no code of ours; the kernel reads at most the 32 bytes given. Its
    // answer does not matter: it refuses SIGKILL and SIGSTOP alone, which are always default.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, number, new, old, SIGNALS / 8) };
}

fn set_of(numbers: &[i32]) -> Result<SigSet> {
    let mut set = *SigSet::empty().as_ref();
    for &number in numbers {
        // SAFETY: the set is initialised and ours alone; a wrong number is refused by libc.
        if unsafe { libc::sigaddset(&raw mut set, number) } != 0 {
            return Err(Error { what: "listen to a signal", errno: Errno::INVAL });
        }
    }
    // SAFETY: the set was made by libc for this platform.
    Ok(unsafe { SigSet::from_sigset_t_unchecked(set) })
}

fn failed(what: &'static str, errno: nix::errno::Errno) -> Error {
    Error { what, errno: Errno::from_raw_os_error(errno as i32) }
}
