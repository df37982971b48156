//! `pintle build`.

/// Make root.img, root.tree and seal from a container image.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Does what `args` say.
pub(crate) fn run(_args: &Args) -> anyhow::Result<()> {
    anyhow::bail!("cannot run build: not built yet")
}
