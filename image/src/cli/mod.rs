//! The command line: one file a subcommand, each an `Args` and its `run`.

mod build;
mod disk;
mod initrd;
mod inspect;
mod kernel;
mod keygen;
#[cfg(test)]
mod manual;
mod moment;
mod number;
mod output;
mod progress;
mod push;
mod verify;

use clap::{Parser, Subcommand};
use pintle_image::scratch;

/// Reads the command line and does what it says.
pub(crate) fn run() -> anyhow::Result<()> {
    let command = Cli::parse().command;
    scratch::remove_when_interrupted()?;
    match command {
        Command::Keygen(args) => keygen::run(&args),
        Command::Build(args) => build::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Initrd(args) => initrd::run(&args),
        Command::Kernel(args) => kernel::run(&args),
        Command::Disk(args) => disk::run(&args),
        Command::Push(args) => push::run(&args),
    }
}

/// Turns container images into signed, read-only images that machines boot.
///
/// A machine's first release takes six commands, in this order: keygen, build, verify, initrd, kernel
/// and disk; push publishes those that follow. None of them needs root, and equal input gives equal bytes wherever it is built.
#[derive(Parser)]
#[command(
    name = "pintle",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    after_long_help = EXAMPLES
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  pintle keygen -o vendor
  pintle build oci:my-image:latest --key vendor.key -o release
  pintle verify release --keys vendor.pub
  pintle initrd --init pintle-init --config boot.toml --keys vendor.pub \\
      --kernel linux-image-6.12.deb -o initrd.img
  pintle kernel linux-image-6.12.deb -o vmlinuz
  pintle disk --release release --size 1GiB -o state.img
  pintle push release registry.example.com/os/kiosk:stable";

#[derive(Subcommand)]
enum Command {
    Keygen(keygen::Args),
    Build(build::Args),
    Inspect(inspect::Args),
    Verify(verify::Args),
    Initrd(initrd::Args),
    Kernel(kernel::Args),
    Disk(disk::Args),
    Push(push::Args),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_explains_itself_and_gives_examples() {
        for command in Cli::command().get_subcommands().chain([&Cli::command()]) {
            let (about, long) = (command.get_about(), command.get_long_about());
            assert!(long.is_some() && long != about, "{}", command.get_name());
            let examples = command.get_after_long_help().map(ToString::to_string);
            assert!(
                !commands_in(&examples.unwrap_or_default()).is_empty(),
                "{}",
                command.get_name()
            );
        }
    }

    #[test]
    fn the_examples_are_understood_here_and_in_the_readme() {
        let helps = Cli::command().get_subcommands().map(help).collect::<Vec<_>>();
        for text in helps.into_iter().chain([EXAMPLES.to_owned(), scripts_of_the_readme()]) {
            assert!(!commands_in(&text).is_empty(), "{text}");
            for command in commands_in(&text) {
                let parsed = Cli::try_parse_from(shlex::split(&command).unwrap());
                assert!(parsed.is_ok(), "{command}: {}", parsed.err().unwrap());
            }
        }
    }

    fn help(command: &clap::Command) -> String {
        command.get_after_long_help().map(ToString::to_string).unwrap_or_default()
    }

    fn scripts_of_the_readme() -> String {
        let fenced = include_str!("../../../README.md").split("```sh\n").skip(1);
        fenced.filter_map(|text| text.split("```").next()).collect()
    }

    /// The lines that run pintle, put together where they go on, without a comment or a pipe.
    fn commands_in(text: &str) -> Vec<String> {
        let text = text.replace("\\\n", " ");
        let lines = text.lines().map(str::trim).filter(|line| line.starts_with("pintle "));
        lines.map(|line| line.split(['|', '#']).next().unwrap_or_default().to_owned()).collect()
    }
}
