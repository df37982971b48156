//! `pintle build`, `inspect` and `verify` as their users run them.
#![forbid(unsafe_code)]

mod bytes;
mod keys;
mod mistakes;
mod release;
mod workshop;
