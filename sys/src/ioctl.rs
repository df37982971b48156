//! The three shapes of ioctl that this crate makes.

use rustix::fd::BorrowedFd;
use rustix::ioctl::{self, Ioctl, IoctlOutput, NoArg, Opcode, Setter, Updater};
use std::ffi::c_void;

/// An ioctl without an argument.
///
/// # Safety
/// Every driver that may stand behind `fd` must take `OPCODE` as a request without argument.
pub(crate) unsafe fn plain<const OPCODE: Opcode>(fd: BorrowedFd<'_>) -> rustix::io::Result<()> {
    // SAFETY: the caller vouches for the opcode's meaning.
    let request = unsafe { NoArg::<OPCODE>::new() };
    // SAFETY: as above; no memory of ours is passed.
    unsafe { ioctl::ioctl(fd, request) }
}

/// An ioctl that reads a `T`.
///
/// # Safety
/// Every driver that may stand behind `fd` must take `OPCODE` as a request that only reads a
/// structure laid out as `T`, and pointers within `T` must be valid for what it does with them.
pub(crate) unsafe fn set<const OPCODE: Opcode, T>(
    fd: BorrowedFd<'_>,
    value: T,
) -> rustix::io::Result<()> {
    // SAFETY: the caller vouches for the opcode and the layout.
    let request = unsafe { Setter::<OPCODE, T>::new(value) };
    // SAFETY: as above; the request owns the value for the length of the call.
    unsafe { ioctl::ioctl(fd, request) }
}

/// An ioctl that reads and writes a `T`.
///
/// # Safety
/// Every driver that may stand behind `fd` must take `OPCODE` as a request that reads and writes
/// no more than a structure laid out as `T`, and whatever it writes must be a valid `T`.
pub(crate) unsafe fn update<const OPCODE: Opcode, T>(
    fd: BorrowedFd<'_>,
    value: &mut T,
) -> rustix::io::Result<()> {
    // SAFETY: the caller vouches for the opcode and the layout.
    let request = unsafe { Updater::<OPCODE, T>::new(value) };
    // SAFETY: as above; the exclusive borrow of the value lasts for the length of the call.
    unsafe { ioctl::ioctl(fd, request) }
}

/// An ioctl without an argument that answers with its return value.
///
/// # Safety
/// As for [`plain`].
pub(crate) unsafe fn answer<const OPCODE: Opcode>(fd: BorrowedFd<'_>) -> rustix::io::Result<i32> {
    // SAFETY: the caller vouches for the opcode's meaning; no memory of ours is passed.
    unsafe { ioctl::ioctl(fd, Answer::<OPCODE>) }
}

struct Answer<const OPCODE: Opcode>;

// SAFETY: the argument is null and the output is the return value alone, so no memory is shared
// with the kernel; that the opcode means this is what `answer`'s caller vouches for.
unsafe impl<const OPCODE: Opcode> Ioctl for Answer<OPCODE> {
    type Output = i32;
    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        OPCODE
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::null_mut()
    }

    unsafe fn output_from_ptr(out: IoctlOutput, _: *mut c_void) -> rustix::io::Result<i32> {
        Ok(out)
    }
}
