//! `pintle keygen`.

use super::output::say;
use std::path::PathBuf;

use pintle_image::keygen;

/// Make an Ed25519 key pair, in PEM as openssl reads and writes it.
///
/// The private half signs releases and must not leave the builder; only its owner may read the file.
/// The public half goes into each machine's initramfs. Keys that openssl made do as well. Existing
/// files are never overwritten.
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The files' name without an end: NAME.key (private) and NAME.pub are written.
    #[arg(short, long, value_name = "NAME")]
    output: PathBuf,

    /// Print the key's id and its files as JSON.
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  pintle keygen -o vendor
  openssl genpkey -algorithm ed25519 -out vendor.key
  openssl pkey -in vendor.key -pubout -out vendor.pub";

/// Does what `args` say.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let pair = keygen::generate(&args.output)?;
    match args.json {
        true => say(&serde_json::to_string(&pair)?),
        false => say(&format!(
            "key {}\n  private  {}\n  public   {}",
            pair.id,
            pair.private.display(),
            pair.public.display()
        )),
    }
}
