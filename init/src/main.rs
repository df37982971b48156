//! pintle-init: PID 1 in the initramfs and after it. By other names it is `pintlectl`, and the child that works on the
//! store.

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

mod boot;
mod candidates;
mod clock;
mod control;
mod corruption_watch;
mod ground;
mod handover;
mod health;
mod initramfs;
mod jobs;
mod last_report;
mod new_root;
mod notify;
mod power;
mod recovery;
mod refusal;
mod report;
mod senses;
mod shell;
mod stage2;
mod stages;
mod status;
mod store;
mod supervise;
mod update;
mod watchdog;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> =
        std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let (name, rest) = match arguments.split_first() {
        Some((name, rest)) => (file_name(name), rest),
        None => ("", [].as_slice()),
    };
    match (name, rustix::process::getpid().as_raw_nonzero().get()) {
        (jobs::STORE, _) => work_on_the_store(rest),
        ("pintlectl", _) => control::run(rest),
        (_, 1) => boot::start(),
        (_, _) => control::run(rest),
    }
}

fn file_name(path: &str) -> &str {
    Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

fn work_on_the_store(arguments: &[String]) -> ExitCode {
    match store::work(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::Report::open().alert("store", &error.to_string());
            ExitCode::FAILURE
        }
    }
}
