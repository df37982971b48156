//! Becoming another program, and a copy of this one that no disk can take away.
//!
//! Source: memfd_create(2), execveat(2).

use crate::spawn::{StringArray, execve, last_errno};
use crate::{Error, Purpose, Result};
use nix::libc;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    MemfdFlags, Mode, OFlags, SealFlags, fcntl_add_seals, fstat, memfd_create, open, sendfile,
};
use rustix::io::Errno;
use std::ffi::CStr;

/// Copies the running executable into sealed memory.
pub fn memory_copy() -> Result<OwnedFd> {
    let source = open("/proc/self/exe", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .to("open the running executable")?;
    memory_copy_of(source.as_fd())
}

/// Copies an executable into sealed memory.
pub fn memory_copy_of(source: BorrowedFd<'_>) -> Result<OwnedFd> {
    let copy = executable_memfd(c"pintle-init").to("make memory for the executable")?;
    copy_all(source, copy.as_fd()).to("copy the executable into memory")?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    fcntl_add_seals(&copy, seals).to("seal the executable in memory")?;
    Ok(copy)
}

/// Replaces this program by the one open as `program`; returns only when that failed.
pub fn replace_by_fd(
    program: BorrowedFd<'_>,
    arguments: &StringArray,
    environment: &StringArray,
) -> Error {
    let (fd, empty) = (program.as_raw_fd(), c"".as_ptr());
    let (argv, envp, flags) = (arguments.as_ptr(), environment.as_ptr(), libc::AT_EMPTY_PATH);
    // SAFETY: `StringArray` keeps zero-ended strings behind a null-ended array of pointers.
    unsafe { libc::syscall(libc::SYS_execveat, fd, empty, argv, envp, flags) };
    Error { what: "execute the next program", errno: last_errno() }
}

/// Replaces this program by the one at `path`; returns only when that failed.
pub fn replace(path: &CStr, arguments: &StringArray, environment: &StringArray) -> Error {
    Error { what: "execute the next program", errno: execve(path, arguments, environment) }
}

/// Linux 6.3 wants to be told that the memory is for executing; older ones know no such flag.
fn executable_memfd(name: &CStr) -> rustix::io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match memfd_create(name, flags | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => memfd_create(name, flags),
        made => made,
    }
}

fn copy_all(source: BorrowedFd<'_>, copy: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let mut left = usize::try_from(fstat(source)?.st_size).unwrap_or_default();
    while left > 0 {
        match sendfile(copy, source, None, left)? {
            0 => return Err(Errno::IO),
            sent => left = left.saturating_sub(sent),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spawn::{Ended, fork};
    use std::io::Read;

    #[test]
    fn copy_is_whole_and_cannot_change() {
        let mut copy = std::fs::File::from(memory_copy().unwrap());
        let mut bytes = Vec::new();
        std::io::Seek::rewind(&mut copy).unwrap();
        copy.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, std::fs::read("/proc/self/exe").unwrap());
        assert_eq!(rustix::io::write(&copy, b"x"), Err(Errno::PERM));
        assert_eq!(rustix::fs::ftruncate(&copy, 0), Err(Errno::PERM));
    }
    #[test]
    fn program_open_as_a_descriptor_takes_over() {
        let words = |words: &[&str]| {
            StringArray::new(
                words.iter().map(|word| std::ffi::CString::new(*word).unwrap()).collect(),
            )
        };
        let program = std::fs::File::open("/bin/sh").unwrap();
        let (arguments, environment) = (words(&["sh", "-c", "exit $CODE"]), words(&["CODE=42"]));
        let child = fork(|| {
            replace_by_fd(program.as_fd(), &arguments, &environment);
            1
        });
        assert_eq!(child.unwrap().wait(None).unwrap(), Some(Ended::Exited(42)));
    }
}
