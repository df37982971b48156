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

const OTHERS: [(&str, Other); 6] = [
    ("casync", others::casync),
    ("zchunk", others::zchunk),
    ("zstd:chunked layers", chunked::layers),
    ("4-KiB index", others::index),
    ("zstd --patch-from -22", others::zstd),
    ("ostree, inline delta", others::ostree),
];

fn main() -> Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|name| name.len() == 1).collect();
    let is_wanted =
        |pair: &Pair| wanted.is_empty() || wanted.iter().any(|name| pair.name.starts_with(name));
    let pairs = trees::pairs()?.into_iter().filter(is_wanted);
    let builds = pairs.map(Pair::build).collect::<Result<Vec<_>>>()?;
    print_row("megabytes", &builds, |built| Ok(built.pair.name.to_owned()))?;
    print_row("image", &builds, |built| Ok(megabytes(size(&built.images()[1])?)))?;
    print_pintle(&builds)?;
    OTHERS.iter().try_for_each(|(name, other)| {
        print_row(name, &builds, |built| Ok(megabytes(other(built)?)))
    })
}

fn print_pintle(builds: &[Built]) -> Result<()> {
    // There are no crates in the network that is entered.
    Binary::Fetch.build()?;
    let registry = Registry::start(&Network::enter()?)?;
    for deltas in [Deltas::One, Deltas::None] {
        let fetched = builds.iter().map(|built| built.fetched(&registry, deltas));
        let fetched = fetched.collect::<Result<Vec<_>>>()?;
        let name = format!("pintle, {}", deltas.name());
        print_row(&name, &fetched, |fetched| Ok(megabytes(fetched.fetch.received)))?;
        print_row("  requests", &fetched, |fetched| Ok(count(fetched.fetch.requests)))?;
        print_row("  nothing new, bytes", &fetched, |fetched| Ok(count(fetched.nothing.received)))?;
        print_row("  requests", &fetched, |fetched| Ok(count(fetched.nothing.requests)))?;
    }
    Ok(())
}

/// What takes long is shown as soon as it is known.
fn print_row<T>(name: &str, each: &[T], shown: impl Fn(&T) -> Result<String>) -> Result<()> {
    print!("{name:24}");
    for one in each {
        print!(" {:>12}", shown(one)?);
        stdout().flush()?;
    }
    println!();
    Ok(())
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
