//! `pintle push`.

use super::output::say;
use super::progress::Quiet;
use pintle_image::push::{
    self, Connection, Delta, Downgrade, Effort, Older, Options, Place, Pushed, Transport,
};
use std::path::PathBuf;

/// Publish a release in a registry, or in an OCI layout.
///
/// The tag becomes an image index: the container images that it names already stay in it, and the
/// release is listed behind them. `podman pull` takes the container image, machines that follow the tag take the
/// release. Blobs that are there already are not sent again, and the tag moves last, so that a push that
/// is cut can be repeated.
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The release: a directory with root.img, root.tree and seal, and cuts where build made one.
    #[arg(value_name = "DIR")]
    release: PathBuf,

    /// Where to: HOST/REPOSITORY:TAG, oci:DIR[:TAG] or oci-archive:FILE[:TAG].
    #[arg(value_name = "REF")]
    place: Place,

    /// Make a delta from an earlier release, so that machines that have it fetch less: its directory, or its tag in a
    /// registry; may be given more than once.
    #[arg(long, value_name = "DIR|REF", num_args = 1..)]
    delta_from: Vec<Older>,

    /// Compress faster; what machines fetch is about a fifth larger.
    #[arg(long)]
    fast: bool,

    /// Replace a release with a higher sequence: machines that have it do not come back by themselves.
    #[arg(long)]
    force: bool,

    /// Trust the authorities in this file of PEM certificates, instead of the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// Log in with this file of docker's or podman's, instead of the one that podman login writes.
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,

    /// Speak to the registry without TLS.
    #[arg(long)]
    plain_http: bool,

    /// Print what was published as JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    quiet: Quiet,
}

const EXAMPLES: &str = "\
Examples:
  pintle push release registry.example.com/os/kiosk:stable
  pintle push release registry.example.com/os/kiosk:stable --delta-from last-release
  pintle push release localhost:5000/os/kiosk:test --plain-http --fast
  pintle push release oci:/media/usb/kiosk
  pintle push release oci-archive:kiosk.tar";

/// Does what `args` say.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let connection = Connection {
        ca: args.ca.clone(),
        authfile: args.authfile.clone(),
        transport: if args.plain_http { Transport::Plain } else { Transport::Tls },
    };
    let older = args
        .delta_from
        .iter()
        .map(|older| Ok((older.clone(), push::settings(older.reference(), &connection)?)));
    let older = older.collect::<pintle_image::Result<Vec<_>>>()?;
    let options = Options {
        effort: if args.fast { Effort::Quick } else { Effort::Best },
        downgrade: if args.force { Downgrade::Push } else { Downgrade::Refuse },
        older: &older,
    };
    let settings = push::settings(args.place.reference(), &connection)?;
    let progress = args.quiet.progress();
    let pushed = push::push(&args.release, (&args.place, settings), &options, &progress)?;
    drop(progress);
    report(args, &pushed)
}

fn report(args: &Args, pushed: &Pushed) -> anyhow::Result<()> {
    if args.json {
        return say(&serde_json::to_string_pretty(pushed)?);
    }
    let Pushed { index, release, seal, size, sent, deltas, containers } = pushed;
    deltas.iter().try_for_each(|delta| say(&told(delta)))?;
    let images = match containers {
        0 => "no container image".to_owned(),
        1 => "1 container image".to_owned(),
        many => format!("{many} container images"),
    };
    say(&format!(
        "pushed: {} {} (sequence {}, {}), {size} bytes, {sent} of them new\n\
         release {release}\nindex   {index}, with {images}",
        seal.image_id, seal.version, seal.sequence, seal.architecture
    ))
}

fn told(delta: &Delta) -> String {
    let Delta { from, size, instead_of, published, .. } = delta;
    match published {
        true => format!("delta from {from}: {size} bytes instead of {instead_of}"),
        false => {
            format!("no delta from {from}: it would have {size} bytes, the blocks {instead_of}")
        }
    }
}
