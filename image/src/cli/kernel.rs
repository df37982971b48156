//! `pintle kernel`.

use std::path::PathBuf;

use anyhow::Context;
use pintle_image::vmlinuz::{BzImage, read_kernel};

use super::output;

/// Take the kernel out of a Debian package, as boot loaders or as microvm starts it.
///
/// The package is not unpacked. What is written is the file as the distribution signed it, unless
/// --uncompressed asks for the ELF file inside.
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// A Debian kernel package, or a directory such as /lib/modules/6.1.0-42-amd64.
    #[arg(value_name = "DEB|DIR")]
    kernel: PathBuf,

    /// The kernel image to write.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// Write the ELF file (vmlinux) that is inside the image.
    #[arg(long)]
    uncompressed: bool,
}

const EXAMPLES: &str = "\
Examples:
  pintle kernel linux-image-6.12.deb -o vmlinuz
  pintle kernel linux-image-6.12.deb --uncompressed -o vmlinux";

/// Does what `args` say.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let image = read_kernel(&args.kernel)?;
    match args.uncompressed {
        true => {
            let image = BzImage::new(&image).context("cannot decompress the kernel: no bzImage")?;
            output::replace(&args.output, &image.vmlinux()?)
        }
        false => output::replace(&args.output, &image),
    }
}
