//! What happens when PID 1 crashes: the reason goes to the kernel's log, and it executes itself
//! again, because a PID 1 that ends is a kernel panic.
//!
//! Source: sigaltstack(2), signal-safety(7).

use crate::spawn::{StringArray, execve, exit_now};
use crate::{Error, Result, signals};
use nix::errno::Errno as NixErrno;
use nix::libc;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::ffi::c_void;
use std::io::Write;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A panic ends in SIGABRT; the rest come from the processor and the memory manager.
const CRASHES: [(i32, &str); 5] = [
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGABRT, "SIGABRT"),
];

/// The kernel pushes up to some 12 KiB of registers (AMX), the handler needs little.
const STACK: usize = 64 * 1024;

/// How the program comes back after a crash.
#[derive(Debug)]
pub struct Revival {
    /// Where the reason is written, `/dev/kmsg`.
    pub log: OwnedFd,
    /// `argv` of the new life.
    pub arguments: StringArray,
    /// `environ` of the new life.
    pub environment: StringArray,
}

static REVIVAL: AtomicPtr<Revival> = AtomicPtr::new(std::ptr::null_mut());

/// From now on a crash is logged and followed by an exec of `/proc/self/exe`. A second call
/// replaces the first one's revival, whose memory is never given back: a handler may be using it.
pub fn install(revival: Revival) -> Result<()> {
    let first = REVIVAL.swap(Box::into_raw(Box::new(revival)), Ordering::Release).is_null();
    if !first {
        return Ok(());
    }
    use_own_stack()?;
    CRASHES.iter().try_for_each(|&(signal, _)| handle(signal))
}

fn use_own_stack() -> Result<()> {
    let stack = Box::leak(vec![0_u8; STACK].into_boxed_slice());
    let stack = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: STACK };
    // SAFETY: the memory is leaked, so that it is the handlers' own for ever.
    let outcome = unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) };
    checked(outcome, "give the crash handlers a stack")
}

fn handle(signal: i32) -> Result<()> {
    // SAFETY: all zeroes is a valid `sigaction`: default disposition, empty mask, no flags.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction =
        revive as extern "C" fn(i32, *const libc::siginfo_t, *const c_void) as usize;
    action.sa_flags = libc::SA_ONSTACK | libc::SA_SIGINFO;
    // SAFETY: `revive` has the signature that SA_SIGINFO asks for and keeps to signal-safety(7).
    let outcome = unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
    checked(outcome, "handle crashes")
}

fn checked(outcome: i32, what: &'static str) -> Result<()> {
    match outcome {
        0 => Ok(()),
        _ => Err(Error { what, errno: Errno::from_raw_os_error(NixErrno::last_raw()) }),
    }
}

extern "C" fn revive(signal: i32, info: *const libc::siginfo_t, _: *const c_void) {
    // SAFETY: the kernel hands SA_SIGINFO handlers a valid siginfo.
    let info = unsafe { &*info };
    // SAFETY: the field is read as a number; for a signal without an address it is some other one.
    let address = unsafe { info.si_addr() } as usize;
    // SAFETY: `install` stored it before it installed this handler, and never frees one.
    let revival = unsafe { &*REVIVAL.load(Ordering::Acquire) };
    log_crash(revival, signal, address);
    // The mask is inherited by exec: with this signal still blocked the next crash would kill.
    signals::reset();
    execve(c"/proc/self/exe", &revival.arguments, &revival.environment);
    exit_now(128 + signal)
}

/// Priority 2 (critical), facility 3 (daemon). Behind the name: the address of a fault, the sender of
/// what was sent.
fn log_crash(revival: &Revival, signal: i32, address: usize) {
    let name =
        CRASHES.iter().find(|(number, _)| *number == signal).map_or("signal", |found| found.1);
    let mut line = [0_u8; 128];
    let mut rest = line.as_mut_slice();
    writeln!(rest, "<26>pintle-init: crashed with {name} ({address:#x}), starting again")
        .unwrap_or_default();
    let unused = rest.len();
    let text = line.get(..line.len() - unused).unwrap_or_default();
    rustix::io::write(&revival.log, text).unwrap_or_default();
}
