//! `pintle verify`.

use super::number;
use super::output::say;
use super::progress::Quiet;
use pintle_image::{keygen, release, verify};
use pintle_verify::{Architecture, Expect, ImageId, Seal};
use std::path::PathBuf;

/// Prove seal, hash tree and every block of an image.
///
/// Checks that trusted keys have signed the seal, that the hash tree is the one that the seal names,
/// and that each block of the image is the one that the tree names. Succeeds only if all is as it was
/// signed.
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The release: a directory with root.img, root.tree and seal, or one of these files.
    #[arg(value_name = "DIR|FILE")]
    release: PathBuf,

    /// A public key to trust, or a directory of *.pub; may be given more than once.
    #[arg(long, value_name = "FILE|DIR", required = true)]
    keys: Vec<PathBuf>,

    /// How many of the keys must have signed.
    #[arg(long, value_name = "1..4", default_value_t = 1, value_parser = number::threshold)]
    threshold: u8,

    /// Refuse an image with another id.
    #[arg(long, value_name = "ID")]
    image_id: Option<ImageId>,

    /// Refuse an image for another architecture (amd64, arm64, …).
    #[arg(long, value_name = "ARCH")]
    arch: Option<Architecture>,

    /// Refuse an image whose sequence is lower.
    #[arg(long, value_name = "SEQUENCE", default_value_t = 0, value_parser = number::sequence)]
    floor: u64,

    /// Print what was proven as JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    quiet: Quiet,
}

const EXAMPLES: &str = "\
Examples:
  pintle verify release --keys vendor.pub
  pintle verify release --keys keys/ --threshold 2 --image-id org.example.kiosk";

/// Does what `args` say.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let keys = keygen::read_key_set(&args.keys, args.threshold)?;
    let expect =
        Expect { image_id: args.image_id.clone(), architecture: args.arch, floor: args.floor };
    let directory = release::directory_of(&args.release)?;
    let progress = args.quiet.progress();
    let seal = verify::verify(directory, &keys, &expect, &progress)?;
    drop(progress);
    report(args, &seal)
}

fn report(args: &Args, seal: &Seal) -> anyhow::Result<()> {
    match args.json {
        true => say(&serde_json::to_string_pretty(seal)?),
        false => say(&format!(
            "verified: {} {} (sequence {}, {}), root hash {}",
            seal.image_id, seal.version, seal.sequence, seal.architecture, seal.root_hash
        )),
    }
}
