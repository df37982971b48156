//! `pintle keygen`.

use super::output::say;
use std::path::PathBuf;

use pintle_image::keygen;

/// Make an Ed25519 key pair, in PEM as openssl reads and writes it.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The files' name without an end: NAME.key (private) and NAME.pub are written.
    #[arg(short, long, value_name = "NAME")]
    output: PathBuf,

    /// Print the key's id and its files as JSON.
    #[arg(long)]
    json: bool,
}

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
