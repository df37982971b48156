//! Prints how many bytes a machine receives to get from one image to the next, all headers, indexes and manifests counted,
//! beside what other tools need for the same two images, in one run.
//!
//! `cargo bench -p pintle-rootfs-test --bench wire`. As root, for the worker runs as nobody, and with a network, for Debian's
//! packages. Pair A is what Debian 12 has now, without its updates and with them; it changes when Debian does. casync's bytes
//! are without headers.
#![forbid(unsafe_code)]

mod fetching;
mod others;
mod trees;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use fetching::Machine;
use pintle_rootfs_test::cache::Recipe;
use pintle_rootfs_test::cargo::Binary;
use pintle_rootfs_test::host::run;
use pintle_rootfs_test::{Keys, Network, Registry};
use pintle_update::worker::Traffic;

/// Two images, the second of which takes the first one's place.
struct Pair {
    name: &'static str,
    /// As `pintle build` takes them.
    old: String,
    new: String,
}

/// Both as `pintle build` makes them.
struct Built {
    old: PathBuf,
    new: PathBuf,
}

fn main() -> Result<()> {
    let pairs = trees::pairs()?;
    let builds = pairs.iter().map(Pair::build).collect::<Result<Vec<_>>>()?;
    let registry = Registry::start(&Network::enter()?)?;
    println!("megabytes         pintle,   pintle,  nothing     image   casync  zstd -19");
    println!("                   delta    blocks   changed               new  --patch-from");
    for (pair, built) in pairs.iter().zip(&builds) {
        let delta = built.fetched(&registry, &format!("{}/delta", pair.short()), Deltas::One)?;
        let blocks = built.fetched(&registry, &format!("{}/blocks", pair.short()), Deltas::None)?;
        let image = std::fs::metadata(built.new.join("root.img"))?.len();
        let images = [&built.old, &built.new].map(|folder| folder.join("root.img"));
        println!(
            "{:15} {} {} {:9} {} {} {}",
            pair.name,
            shown(delta.fetch),
            shown(blocks.fetch),
            delta.nothing.received,
            megabytes(image),
            megabytes(others::casync(&images)?),
            megabytes(others::zstd(&images)?),
        );
    }
    Ok(())
}

/// Whether a delta is pushed with the release.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Deltas {
    One,
    None,
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
    fn build(&self) -> Result<Built> {
        let key = Keys::of("builder")?.private();
        let pintle = Binary::Pintle.build()?;
        let recipe = Recipe::new(&format!("wire-{}", self.short())).with_file(&pintle)?;
        let folder = recipe.with(&self.old).with(&self.new).folder(|folder| {
            let build = |source: &str, sequence: &str| {
                let mut command = Command::new(&pintle);
                command.args("build --quiet --no-system --image-id wire --arch amd64".split(' '));
                command.args(["--image-version", sequence, "--sequence", sequence]);
                command.args([source, "--key"]);
                command.arg(&key).arg("--output").arg(folder.join(sequence));
                command
            };
            run(&mut build(&self.old, "1"))?;
            run(build(&self.new, "2").arg("--layout-from").arg(folder.join("1"))).map(drop)
        })?;
        Ok(Built { old: folder.join("1"), new: folder.join("2") })
    }
}

impl Built {
    fn fetched(&self, registry: &Registry, name: &str, deltas: Deltas) -> Result<Fetched> {
        let (reference, ca) = (registry.reference(&format!("{name}:1")), Registry::authority()?);
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

/// With the number of requests.
fn shown(traffic: Traffic) -> String {
    format!("{} /{:2}", megabytes(traffic.received), traffic.requests)
}

fn megabytes(bytes: u64) -> String {
    format!("{:8.4}", bytes as f64 / 1e6)
}
