//! pintle-fetch: the worker that fetches releases. It is started for one job by `pintle-init`, shuts itself in, does it,
//! and ends. What it is told and what it says: `pintle_update::worker`.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::let_underscore_must_use
    )
)]

mod error;
mod files;
mod offline;
mod online;
mod work;

use std::io::Write;
use std::process::ExitCode;

use pintle_fetch::sandbox::{self, Confinement};
use pintle_update::worker::{Job, Said};

use crate::error::Error;
use crate::files::Files;

/// Descriptors that connections need beside those that it was handed.
const DESCRIPTORS_MAX: u64 = 128;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        None => {}
        Some("--version" | "-V") => {
            println!("pintle-fetch {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Some(_) => return explain(),
    }
    let last = work().unwrap_or_else(|error| Said::Failed(error.into()));
    match say(&last) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// It has a job of its starter's at descriptor 0, and files from 3 on.
fn work() -> Result<Said, Error> {
    let job = Job::read(&mut std::io::stdin().lock())?;
    let files = Files::take(&job)?;
    let confinement = Confinement {
        directory: files.directory(&job.source),
        file_size_max: files.largest()?,
        descriptors_max: DESCRIPTORS_MAX,
    };
    sandbox::enter(&confinement)?;
    work::carry_out(job, files, &mut |said| say(said))
}

fn say(said: &Said) -> Result<(), Error> {
    let frame = said.to_frame()?;
    let mut out = std::io::stdout().lock();
    Ok(out.write_all(&frame).and_then(|()| out.flush())?)
}

/// Started by hand, it has no job.
fn explain() -> ExitCode {
    eprintln!(
        "pintle-fetch is started by pintle-init and does nothing by itself; see pintlectl help for update"
    );
    ExitCode::from(2)
}
