//! `pintle verify`.

/// Prove seal, hash tree and every block of an image.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Does what `args` say.
pub(crate) fn run(_args: &Args) -> anyhow::Result<()> {
    anyhow::bail!("cannot run verify: not built yet")
}
