//! `cargo boot`: shows on this host what pintle does, from a container image to a machine that mends itself.
#![forbid(unsafe_code)]

mod shell;
mod story;
mod teller;
mod workshop;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

/// Boots a demo machine, updates it, breaks it, tampers with it.
#[derive(Parser)]
#[command(name = "cargo boot --")]
struct Args {
    /// End at the console of an unlocked demo machine.
    #[arg(long)]
    shell: bool,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\ncargo boot: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    match args.shell {
        true => shell::open(),
        false => story::tell(),
    }
}
