//! `pintle kernel`.

use std::path::PathBuf;

use anyhow::Context;
use pintle_image::vmlinuz::{BzImage, read_kernel};

use super::output;

/// Take the kernel out of a Debian package, as boot loaders or as microvm starts it.
#[derive(clap::Args)]
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
