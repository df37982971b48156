//! `pintle inspect`.

/// Show what a seal or an image says and holds. Proves nothing: see verify.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Does what `args` say.
pub(crate) fn run(_args: &Args) -> anyhow::Result<()> {
    anyhow::bail!("cannot run inspect: not built yet")
}
