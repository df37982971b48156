//! `pintle inspect`.

use pintle_image::inspect::{self, Depth, Report};
use std::io::{self, Write};
use std::path::PathBuf;

/// Show what a seal says and an image holds. Proves nothing: see verify.
///
/// What a seal says is shown as it stands, whoever signed it; `pintle verify` tells whether to believe
/// it. An image is listed file by file.
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// A release's directory, an image, or a seal.
    #[arg(value_name = "DIR|FILE")]
    path: PathBuf,

    /// Print JSON, with a digest of each file's content.
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  pintle inspect release/seal
  pintle inspect release
  pintle inspect --json release | jq -r '.image.files[].path'";

/// Does what `args` say.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let depth = if args.json { Depth::Contents } else { Depth::Attributes };
    let report = inspect::inspect(&args.path, depth)?;
    match print(args, &report) {
        // Whoever read it has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => Ok(printed?),
    }
}

fn print(args: &Args, report: &Report) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    match args.json {
        true => {
            serde_json::to_writer_pretty(&mut out, report)?;
            out.write_all(b"\n")?;
        }
        false => write!(out, "{report}")?,
    }
    out.flush()
}
