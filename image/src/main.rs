//! `pintle`, the host tool: turns a container image into a signed image that a machine boots.
#![forbid(unsafe_code)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pintle: {error:#}");
            ExitCode::FAILURE
        }
    }
}
