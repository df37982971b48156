//! `pintle build`.

use super::moment::Moment;
use super::number;
use super::output::say;
use super::progress::Quiet;
use pintle_image::build::{self, Built, Configuration, Given, Request, Terms};
use pintle_image::erofs::write::Continuity;
use pintle_image::keygen;
use pintle_image::source::Source;
use pintle_verify::{Architecture, ImageId, Percent, SigningKey, Version};
use std::path::PathBuf;

/// Make root.img, root.tree and seal from a container image.
///
/// The layers are merged by the rules of the OCI image specification, in memory: nothing is unpacked
/// to disk, and no root is needed. Kernel modules in the image must fit a kernel in it.
///
/// The services in /usr/lib/pintle/*.toml are checked and compiled into system.bin beside them; a
/// mistake there is told with its file, line and column, and nothing is built.
///
/// Of dir:PATH every file is taken as it is, with its owner and group. Only root can give files to
/// root: where another user builds, the user's own files are root's in the image, and so are those of
/// the user's group.
///
/// What the image has below /var, machines do not see: their /var is on the state partition, stays
/// from release to release, and starts empty. How many files that hides is told. What a service needs
/// there it makes when it starts, or it is in /usr and copied from there.
///
/// An update is small where the blocks of an image stand where they stood before: --layout-from names
/// the release that most machines have. What is new is gathered, what went away leaves zeros. A file
/// named cuts then says where the two meet, for pintle push, which has machines fetch the new alone.
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The container image: oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE or dir:PATH.
    ///
    /// In dir:PATH, files of the user who builds are root's, unless that is root.
    source: Source,

    /// A private key to sign with, as keygen makes it; up to four.
    #[arg(long = "key", value_name = "FILE", required = true)]
    keys: Vec<PathBuf>,

    /// The directory for root.img, root.tree and seal.
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,

    /// The image's id [default: IMAGE_ID of its os-release].
    #[arg(long, value_name = "ID")]
    image_id: Option<ImageId>,

    /// Its version [default: IMAGE_VERSION of its os-release, else its OCI label].
    #[arg(long, value_name = "VERSION")]
    image_version: Option<Version>,

    /// Its sequence, which must rise from release to release [default: when the container image
    /// was made, in seconds since 1970].
    #[arg(long, value_name = "NUMBER", value_parser = number::sequence)]
    sequence: Option<u64>,

    /// The lowest sequence that machines may go back to once this image is blessed.
    #[arg(long, value_name = "SEQUENCE", default_value_t = 0, value_parser = number::sequence)]
    floor: u64,

    /// When machines stop installing it: seconds since 1970, or 2027-01-31T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    best_before: Option<Moment>,

    /// The percentage of machines that install it by themselves.
    #[arg(long, value_name = "0..100", default_value = "100")]
    rollout: Percent,

    /// What machines it is for (amd64, arm64, …) [default: this one's architecture].
    #[arg(long, value_name = "ARCH")]
    arch: Option<Architecture>,

    /// When the seal is made: seconds since 1970, or 2027-01-31T00:00:00Z [default: when the
    /// container image was made, else now].
    #[arg(long, value_name = "TIME", env = "SOURCE_DATE_EPOCH")]
    created: Option<Moment>,

    /// Keep the layout of an older release, so that machines that have it fetch little: its directory,
    /// or its root.img.
    ///
    /// Where that would leave more than a tenth of the image empty, it is laid out anew.
    #[arg(long, value_name = "OLD")]
    layout_from: Option<PathBuf>,

    /// Leave /usr/lib/pintle alone: another init runs the image.
    #[arg(long)]
    no_system: bool,

    /// Print what was built as JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    quiet: Quiet,
}

const EXAMPLES: &str = "\
Examples:
  pintle build oci:my-image:latest --key vendor.key -o release
  podman save my-image -o my-image.tar
  pintle build docker-archive:my-image.tar --key vendor.key -o release
  skopeo copy docker://debian:12 oci:debian:12
  pintle build oci:debian:12 --key vendor.key -o release --no-system \\
      --image-id debian --image-version 12
  pintle build oci:my-image:2 --key vendor.key -o second --layout-from release";

/// Does what `args` say.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let files = args.keys.iter();
    let keys: Vec<SigningKey> =
        files.map(|file| keygen::read_signing_key(file)).collect::<Result<_, _>>()?;
    let progress = args.quiet.progress();
    let built = build::build(&request(args, &keys), &progress)?;
    drop(progress);
    match args.json {
        true => say(&serde_json::to_string_pretty(&built)?),
        false => {
            note_var(args, &built);
            note_layout(args, &built);
            say(&summary(args, &built))
        }
    }
}

fn note_var(args: &Args, built: &Built) {
    let files = match built.hidden_in_var {
        0 => return,
        1 => "1 file".to_owned(),
        many => format!("{many} files"),
    };
    args.quiet.note(&format!(
        "/var has {files} that machines do not see: theirs is on the state partition and starts empty"
    ));
}

fn note_layout(args: &Args, built: &Built) {
    if built.layout == Some(Continuity::Anew) {
        args.quiet.note(
            "the image is laid out anew: to keep the older layout would leave too much of it empty",
        );
    }
}

fn request<'a>(args: &'a Args, keys: &'a [SigningKey]) -> Request<'a> {
    Request {
        source: &args.source,
        directory: &args.output,
        keys,
        architecture: args.arch.unwrap_or(Architecture::running()),
        given: Given {
            image_id: args.image_id.clone(),
            version: args.image_version.clone(),
            sequence: args.sequence,
            created: args.created.map(Moment::seconds),
        },
        terms: Terms {
            floor: args.floor,
            best_before: args.best_before.map(Moment::seconds),
            rollout: args.rollout,
        },
        layout_from: args.layout_from.as_deref(),
        configuration: match args.no_system {
            true => Configuration::LeaveAlone,
            false => Configuration::Compile,
        },
        now: Moment::now().seconds(),
    }
}

fn summary(args: &Args, built: &Built) -> String {
    let Built { image_id, version, sequence, architecture, image_size, files, .. } = built;
    format!(
        "{image_id} {version} (sequence {sequence}, {architecture}): {files} files, {image_size} \
         bytes\n  root hash  {}\n  seal       {}\n  in         {}",
        built.root_hash,
        built.seal_digest,
        args.output.display()
    )
}
