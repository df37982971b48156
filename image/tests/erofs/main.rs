//! The EROFS writer and reader against each other, against erofs-utils and against the running
//! kernel.
#![forbid(unsafe_code)]

mod facts;
mod written;
mod zoo;

mod accepted;
