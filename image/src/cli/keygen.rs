//! `pintle keygen`.

/// Make an Ed25519 key pair, in PEM as openssl reads and writes it.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Does what `args` say.
pub(crate) fn run(_args: &Args) -> anyhow::Result<()> {
    anyhow::bail!("cannot run keygen: not built yet")
}
