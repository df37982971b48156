//! `pintle disk`.

use super::output::say;
use std::path::PathBuf;

use anyhow::Context;
use pintle_config::{Bytes, Value};
use pintle_image::disk::{self, Entry, FsVerity, Partitions, Recipe, State};

/// Make the disk that a machine keeps its state on, with releases installed. Needs no root.
///
/// It holds an ext4 file system with the releases as entries in images/, where machines look for
/// them. pintle build must have made the releases; verify them first.
///
/// The newest release that counts as good, or the newest one where all are on trial, is noted as the
/// one that the machine is shipped with: pintlectl factory-reset --image goes back to it, as long
/// as it is kept. Like every other one it is removed once newer ones have proved themselves, unless
/// pintlectl pin keeps it.
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The disk image to write.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// How large the disk is: 512MiB, 4GiB. What stays empty takes no room on the host.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    size: u64,

    /// What the machine finds the file system by, and with --gpt the partition.
    #[arg(long, value_name = "LABEL", default_value = "pintle-state")]
    label: String,

    /// Give the disk a partition table (GPT) with one partition.
    #[arg(long)]
    gpt: bool,

    /// A release that counts as good: a directory that pintle build wrote. May be given again.
    #[arg(long, value_name = "DIR")]
    release: Vec<PathBuf>,

    /// A release that is on trial and has three tries. May be given again.
    #[arg(long, value_name = "DIR")]
    trial: Vec<PathBuf>,

    /// Put fs-verity in force on the images, which saves reading them at the first boot. Kernels
    /// without fs-verity cannot open them then.
    #[arg(long)]
    fs_verity: bool,
}

const EXAMPLES: &str = "\
Examples:
  pintle disk --release release --size 1GiB -o state.img
  pintle disk --release old --trial new --size 4GiB --gpt -o disk.img";

/// Does what `args` say.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let good = args.release.iter().map(|release| Entry::open(release, State::Good));
    let trials = args.trial.iter().map(|release| Entry::open(release, State::Trial));
    let recipe = Recipe {
        size: args.size,
        label: args.label.clone(),
        partitions: if args.gpt { Partitions::Gpt } else { Partitions::None },
        entries: good.chain(trials).collect::<Result<_, _>>()?,
        fs_verity: if args.fs_verity { FsVerity::Enabled } else { FsVerity::Later },
    };
    disk::make(&recipe, &args.output)?;
    say(&format!("{}: {}", args.output.display(), contents(&recipe.entries)))
}

fn contents(entries: &[Entry]) -> String {
    match entries.iter().map(Entry::name).collect::<Vec<_>>().as_slice() {
        [] => "no image is on it".to_owned(),
        names => names.join(", "),
    }
}

fn size(text: &str) -> anyhow::Result<u64> {
    /// ext4's own limit is higher, but no machine's disk.
    type Size = Bytes<1, { 64 << 40 }>;
    let size = Size::from_text(text).with_context(|| {
        format!("expected {}; units are B, KiB, MiB, GiB and TiB", Size::expected())
    })?;
    Ok(size.get())
}
