//! The system calls that are left: those that a client of TCP and UDP needs which writes to open files.
//!
//! Everything else is refused with `EPERM`, so that what asks for it fails and can say so. What belongs to
//! another architecture, such as 32-bit calls, kills.

use std::collections::BTreeMap;

use nix::libc::{self, c_int, c_long};
use rustix::fd::BorrowedFd;
use seccompiler::{
    BackendError, BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp,
    SeccompCondition, SeccompFilter, SeccompRule, TargetArch, apply_filter_all_threads,
};

/// An argument that must have one value, besides bits that are free.
#[derive(Clone, Copy, Debug)]
struct Argument {
    index: u8,
    value: u32,
    free: u32,
}

/// The arguments of one allowed way to make a call.
type Way = &'static [Argument];

/// Calls whose arguments do not matter: they concern memory of our own, descriptors that are open, time, and
/// the end.
const FREE: &[c_long] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_ftruncate,
    libc::SYS_fdatasync,
    libc::SYS_fadvise64,
    libc::SYS_close,
    libc::SYS_connect,
    libc::SYS_shutdown,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_sched_yield,
    // What an abort and the handler of a stack overflow are made of.
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Calls that do many things, and the few of them that are wanted.
const BOUNDED: &[(c_long, &[Way])] = &[
    (libc::SYS_socket, SOCKETS),
    (libc::SYS_setsockopt, OPTIONS),
    (libc::SYS_getsockopt, OPTIONS),
    // Out-of-band data of unix sockets has been a way into the kernel (CVE-2025-38236).
    (libc::SYS_sendto, &[&[flags(3, SEND)]]),
    (libc::SYS_sendmsg, &[&[flags(2, SEND)]]),
    (libc::SYS_recvfrom, &[&[flags(3, RECEIVE)]]),
    (libc::SYS_recvmsg, &[&[flags(2, RECEIVE)]]),
    // `TcpStream::connect_timeout` makes the socket non-blocking by ioctl.
    (libc::SYS_ioctl, &[&[Argument { index: 1, value: libc::FIONBIO as u32, free: 0 }]]),
    (
        libc::SYS_fcntl,
        &[
            &[is(1, libc::F_DUPFD_CLOEXEC)],
            &[is(1, libc::F_GETFD)],
            &[is(1, libc::F_GETFL)],
            &[is(1, libc::F_SETFL)],
        ],
    ),
    (libc::SYS_fallocate, &[&[flags(1, libc::FALLOC_FL_KEEP_SIZE | libc::FALLOC_FL_PUNCH_HOLE)]]),
    // Memory is never a file's and never code.
    (libc::SYS_mmap, &[&[flags(2, READ_WRITE), is_with(3, MEMORY, MEMORY_FLAGS)]]),
    (libc::SYS_mprotect, &[&[flags(2, READ_WRITE)]]),
    (libc::SYS_mremap, &[&[flags(3, libc::MREMAP_MAYMOVE)]]),
    (libc::SYS_madvise, &[&[is(2, libc::MADV_DONTNEED)], &[is(2, libc::MADV_FREE)]]),
    // Locks, and not the operations on two locks or on priorities.
    (
        libc::SYS_futex,
        &[
            &[is_with(1, libc::FUTEX_WAIT, FUTEX_FLAGS)],
            &[is_with(1, libc::FUTEX_WAKE, FUTEX_FLAGS)],
            &[is_with(1, libc::FUTEX_WAIT_BITSET, FUTEX_FLAGS)],
        ],
    ),
];

const SOCKETS: &[Way] = &[
    &[is(0, libc::AF_INET), is_with(1, libc::SOCK_STREAM, SOCKET_FLAGS), is(2, 0)],
    &[is(0, libc::AF_INET), is_with(1, libc::SOCK_STREAM, SOCKET_FLAGS), is(2, libc::IPPROTO_TCP)],
    &[is(0, libc::AF_INET), is_with(1, libc::SOCK_DGRAM, SOCKET_FLAGS), is(2, 0)],
    &[is(0, libc::AF_INET), is_with(1, libc::SOCK_DGRAM, SOCKET_FLAGS), is(2, libc::IPPROTO_UDP)],
    &[is(0, libc::AF_INET6), is_with(1, libc::SOCK_STREAM, SOCKET_FLAGS), is(2, 0)],
    &[is(0, libc::AF_INET6), is_with(1, libc::SOCK_STREAM, SOCKET_FLAGS), is(2, libc::IPPROTO_TCP)],
    &[is(0, libc::AF_INET6), is_with(1, libc::SOCK_DGRAM, SOCKET_FLAGS), is(2, 0)],
    &[is(0, libc::AF_INET6), is_with(1, libc::SOCK_DGRAM, SOCKET_FLAGS), is(2, libc::IPPROTO_UDP)],
];

/// What `std::net` sets and asks, and keepalive.
const OPTIONS: &[Way] = &[
    &[is(1, libc::SOL_SOCKET), is(2, libc::SO_ERROR)],
    &[is(1, libc::SOL_SOCKET), is(2, libc::SO_RCVTIMEO)],
    &[is(1, libc::SOL_SOCKET), is(2, libc::SO_SNDTIMEO)],
    &[is(1, libc::SOL_SOCKET), is(2, libc::SO_KEEPALIVE)],
    &[is(1, libc::SOL_SOCKET), is(2, libc::SO_RCVBUF)],
    &[is(1, libc::IPPROTO_TCP), is(2, libc::TCP_NODELAY)],
    &[is(1, libc::IPPROTO_TCP), is(2, libc::TCP_KEEPIDLE)],
    &[is(1, libc::IPPROTO_TCP), is(2, libc::TCP_KEEPINTVL)],
    &[is(1, libc::IPPROTO_TCP), is(2, libc::TCP_KEEPCNT)],
    &[is(1, libc::IPPROTO_TCP), is(2, libc::TCP_USER_TIMEOUT)],
];

const SOCKET_FLAGS: c_int = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
const SEND: c_int = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT | libc::MSG_MORE;
const RECEIVE: c_int =
    libc::MSG_PEEK | libc::MSG_DONTWAIT | libc::MSG_WAITALL | libc::MSG_TRUNC | CLOEXEC;
const CLOEXEC: c_int = libc::MSG_CMSG_CLOEXEC;
const READ_WRITE: c_int = libc::PROT_READ | libc::PROT_WRITE;
const MEMORY: c_int = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
const MEMORY_FLAGS: c_int = libc::MAP_FIXED | libc::MAP_NORESERVE | libc::MAP_STACK;
const FUTEX_FLAGS: c_int = libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME;

const fn is(index: u8, value: c_int) -> Argument {
    is_with(index, value, 0)
}

const fn is_with(index: u8, value: c_int, free: c_int) -> Argument {
    Argument { index, value: value.cast_unsigned(), free: free.cast_unsigned() }
}

const fn flags(index: u8, free: c_int) -> Argument {
    is_with(index, 0, free)
}

/// From here on. Later calls can only make it stricter.
pub(crate) fn refuse_all_but_the_needed(directory: Option<BorrowedFd<'_>>) -> Result<(), Error> {
    apply_filter_all_threads(&program(directory)?)
}

fn program(directory: Option<BorrowedFd<'_>>) -> Result<BpfProgram, BackendError> {
    let refused = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules(directory)?, refused, SeccompAction::Allow, architecture)?.try_into()
}

/// What a call opens is in memory, where a filter does not look: that it is beneath the directory is Landlock's to see.
fn rules(
    directory: Option<BorrowedFd<'_>>,
) -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
    let open = directory.map(|_| Ok((libc::SYS_openat2, Vec::new())));
    let free = FREE.iter().map(|&call| Ok((call, Vec::new())));
    let bounded = BOUNDED.iter().map(|&(call, ways)| {
        Ok((call, ways.iter().map(|way| rule(way)).collect::<Result<_, _>>()?))
    });
    free.chain(open).chain(bounded).chain([signals_to_itself()]).collect()
}

/// An abort is a signal to the thread that aborts.
fn signals_to_itself() -> Result<(i64, Vec<SeccompRule>), BackendError> {
    let itself = rustix::process::getpid().as_raw_nonzero().get();
    Ok((libc::SYS_tgkill, vec![rule(&[is(0, itself)])?]))
}

fn rule(way: &[Argument]) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(way.iter().map(condition).collect::<Result<_, _>>()?)
}

/// The kernel takes 32 bits of each of these arguments.
fn condition(argument: &Argument) -> Result<SeccompCondition, BackendError> {
    let fixed = SeccompCmpOp::MaskedEq(u64::from(!argument.free));
    let value = u64::from(argument.value);
    SeccompCondition::new(argument.index, SeccompCmpArgLen::Dword, fixed, value)
}
