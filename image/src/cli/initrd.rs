//! `pintle initrd`.

/// Make an initramfs: pintle-init, keys, boot configuration and kernel modules.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Does what `args` say.
pub(crate) fn run(_args: &Args) -> anyhow::Result<()> {
    anyhow::bail!("cannot run initrd: not built yet")
}
