//! `cargo boot`: shows on this host what pintle does, from a container image to a machine that mends itself.
#![forbid(unsafe_code)]

mod shell;
mod story;
mod teller;
mod workshop;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use pintle_rootfs_test::host;

/// Boots a demo machine, updates it, breaks it, tampers with it.
#[derive(Parser)]
#[command(name = "cargo boot --")]
struct Args {
    /// Only install what this host lacks for it and for the tests.
    #[arg(long)]
    install: bool,

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
    host::prepare()?;
    match (args.install, args.shell) {
        (true, _) => Ok(()),
        (false, true) => shell::open(),
        (false, false) => story::tell(),
    }
}
