//! Prints how many bytes a machine receives to get from one image to the next, all headers, indexes and manifests counted,
//! beside what other tools need for the same two images, in one run.
//!
//! `cargo bench -p pintle-rootfs-test --bench wire [-- A E]`. As root, for the worker runs as nobody, and with a network, for
//! Debian's packages. The pairs are made of what Debian 12 has now; they change when Debian does. The others' bytes are without
//! headers, and without the requests that would fetch them.
#![forbid(unsafe_code)]

mod chunked;
mod fetching;
mod others;
mod trees;

use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use fetching::Machine;
use pintle_rootfs_test::cache::Recipe;
use pintle_rootfs_test::cargo::Binary;
use pintle_rootfs_test::host::run;
use pintle_rootfs_test::{Keys, Network, Registry};
use pintle_update::worker::Traffic;
use trees::Tree;

/// Two trees, the second of which takes the first one's place.
struct Pair {
    /// A letter and a word.
    name: &'static str,
    old: Tree,
    new: Tree,
}

/// Both as images.
struct Built {
    pair: Pair,
    /// As `pintle build` makes them.
    old: PathBuf,
    new: PathBuf,
}

/// Bytes that one of the others needs.
type Other = fn(&Built) -> Result<u64>;

/// Each is to be compared with what pintle needs with a delta, or without one.
const OTHERS: [(&str, Other, Deltas); 6] = [
    ("casync", others::casync, Deltas::None),
    ("zchunk", others::zchunk, Deltas::None),
    ("zstd:chunked layers", chunked::layers, Deltas::None),
    ("4-KiB index", others::index, Deltas::None),
    ("zstd --patch-from -22", others::zstd, Deltas::One),
    ("ostree, inline delta", others::ostree, Deltas::One),
];

fn main() -> Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|name| name.len() == 1).collect();
    let is_wanted =
        |pair: &Pair| wanted.is_empty() || wanted.iter().any(|name| pair.name.starts_with(name));
    let pairs = trees::pairs()?.into_iter().filter(is_wanted);
    let builds = pairs.map(Pair::build).collect::<Result<Vec<_>>>()?;
    println!(
        "{:24}{}",
        "",
        builds.iter().map(|built| format!(" {:>12}", built.pair.name)).collect::<String>()
    );
    print_row("image", &builds, (|built| size(&built.images()[1]), megabytes))?;
    let [delta, blocks] = pintle(&builds)?;
    for (name, other, theirs) in OTHERS {
        let bytes = print_row(name, &builds, (other, megabytes))?;
        let ours = if theirs == Deltas::One { &delta } else { &blocks };
        let worse = ours.iter().zip(&bytes).filter(|(ours, theirs)| ours > theirs).count();
        println!("{:24} better on {} of {}", "", bytes.len() - worse, bytes.len());
    }
    Ok(())
}

/// What a machine receives of each with a delta, and without one.
fn pintle(builds: &[Built]) -> Result<[Vec<u64>; 2]> {
    // There are no crates in the network that is entered.
    Binary::Fetch.build()?;
    let registry = Registry::start(&Network::enter()?)?;
    let received = [Deltas::One, Deltas::None].map(|deltas| -> Result<Vec<u64>> {
        let fetched = builds.iter().map(|built| built.fetched(&registry, deltas));
        let fetched = fetched.collect::<Result<Vec<_>>>()?;
        let name = format!("pintle, {}", deltas.name());
        let received = print_row(&name, &fetched, (|it| Ok(it.fetch.received), megabytes))?;
        print_row("  requests", &fetched, (|it| Ok(it.fetch.requests), count))?;
        print_row("  nothing new, bytes", &fetched, (|it| Ok(it.nothing.received), count))?;
        print_row("  requests", &fetched, (|it| Ok(it.nothing.requests), count))?;
        Ok(received)
    });
    let [delta, blocks] = received;
    Ok([delta?, blocks?])
}

/// What takes long is shown as soon as it is known.
fn print_row<T>(
    name: &str,
    each: &[T],
    (value, shown): (impl Fn(&T) -> Result<u64>, fn(u64) -> String),
) -> Result<Vec<u64>> {
    print!("{name:24}");
    let values = each.iter().map(|one| {
        let value = value(one)?;
        print!(" {:>12}", shown(value));
        stdout().flush()?;
        Ok(value)
    });
    let values = values.collect();
    println!();
    values
}

/// Whether a delta is pushed with the release.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Deltas {
    One,
    None,
}

impl Deltas {
    fn name(self) -> &'static str {
        match self {
            Self::One => "delta",
            Self::None => "blocks",
        }
    }
}

/// What a machine received.
struct Fetched {
    /// From the tag to the whole image.
    fetch: Traffic,
    /// When it asked again.
    nothing: Traffic,
}

impl Pair {
    /// As part of a name.
    fn short(&self) -> String {
        self.name.replace(' ', "-").to_lowercase()
    }

    /// The new one keeps the layout of the old one.
    fn build(self) -> Result<Built> {
        let key = Keys::of("builder")?.private();
        let pintle = Binary::Pintle.build()?;
        let recipe = Recipe::new(&format!("wire-{}", self.short())).with_file(&pintle)?;
        let sources = [&self.old, &self.new].map(|tree| format!("oci:{}", tree.image()));
        let folder = recipe.with(&sources[0]).with(&sources[1]).folder(|folder| {
            let build = |source: &str, sequence: &str| {
                let mut command = Command::new(&pintle);
                command.args("build --quiet --no-system --image-id wire --arch amd64".split(' '));
                command.args(["--image-version", sequence, "--sequence", sequence]);
                command.args([source, "--key"]);
                command.arg(&key).arg("--output").arg(folder.join(sequence));
                command
            };
            run(&mut build(&sources[0], "1"))?;
            run(build(&sources[1], "2").arg("--layout-from").arg(folder.join("1"))).map(drop)
        })?;
        Ok(Built { pair: self, old: folder.join("1"), new: folder.join("2") })
    }
}

impl Built {
    /// The files that machines mount.
    fn images(&self) -> [PathBuf; 2] {
        [&self.old, &self.new].map(|folder| folder.join("root.img"))
    }

    fn trees(&self) -> [&Tree; 2] {
        [&self.pair.old, &self.pair.new]
    }

    fn fetched(&self, registry: &Registry, deltas: Deltas) -> Result<Fetched> {
        let name = format!("{}/{}:1", self.pair.short(), deltas.name());
        let (reference, ca) = (registry.reference(&name), Registry::authority()?);
        let mut push = Command::new(Binary::Pintle.build()?);
        push.args(["push", "--quiet", "--ca"]).arg(&ca).arg(&self.new).arg(&reference);
        if deltas == Deltas::One {
            push.arg("--delta-from").arg(&self.old);
        }
        run(&mut push)?;
        let mut machine = Machine::with(&self.old, (&reference, &ca))?;
        let fetch = machine.fetch()?;
        ensure!(same(&self.new, machine.folder())?, "another image was fetched");
        Ok(Fetched { fetch, nothing: machine.check_again()? })
    }
}

fn same(release: &Path, fetched: &Path) -> Result<bool> {
    let same = |name: &str| -> Result<bool> {
        Ok(std::fs::read(release.join(name))? == std::fs::read(fetched.join(name))?)
    };
    Ok(same("root.img")? && same("root.tree")?)
}

fn size(file: &Path) -> Result<u64> {
    Ok(std::fs::metadata(file)?.len())
}

fn megabytes(bytes: u64) -> String {
    format!("{:.4}", bytes as f64 / 1e6)
}

fn count(number: u64) -> String {
    number.to_string()
}
