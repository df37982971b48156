//! The command line: one file a subcommand, each an `Args` and its `run`.

mod build;
mod disk;
mod initrd;
mod inspect;
mod kernel;
mod keygen;
mod moment;
mod output;
mod progress;
mod verify;

use clap::{Parser, Subcommand};

/// Reads the command line and does what it says.
pub(crate) fn run() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Keygen(args) => keygen::run(&args),
        Command::Build(args) => build::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Initrd(args) => initrd::run(&args),
        Command::Kernel(args) => kernel::run(&args),
        Command::Disk(args) => disk::run(&args),
    }
}

/// Turns container images into signed, read-only images that machines boot.
#[derive(Parser)]
#[command(name = "pintle", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Keygen(keygen::Args),
    Build(build::Args),
    Inspect(inspect::Args),
    Verify(verify::Args),
    Initrd(initrd::Args),
    Kernel(kernel::Args),
    Disk(disk::Args),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
