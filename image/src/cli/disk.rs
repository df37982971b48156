//! `pintle disk`.

/// Make a disk image that boots.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Does what `args` say.
pub(crate) fn run(_args: &Args) -> anyhow::Result<()> {
    anyhow::bail!("cannot run disk: not built yet")
}
