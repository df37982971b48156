//! The images: Debian's packages, and what is changed in them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use pintle_rootfs_test::cache::Recipe;
use pintle_rootfs_test::host::{program, run};

use super::Pair;

/// What the system of the pair A is made of, besides minbase.
const PACKAGES: &str = "--include=systemd-sysv,openssh-server,python3";

/// Files are not younger than this (2024-01-01).
const BUILT: &str = "1704067200";

/// A day later.
const REBUILT: &str = "@1704153600";

/// The size of the application of pair B, of its file that changes, and of what is inserted there.
const APPLICATION: usize = 93_000_000;
const CHANGED: usize = 1_900_000;
const INSERTED: usize = 3_000;

/// The kernel of pair C, but for its number.
const KERNEL: [&str; 2] = ["linux-image-6.1.0-", "-cloud-amd64"];

/// What pair E is made of: two packages, and a program of 3.8 MB, whose version changes.
const TINY: [&str; 2] = ["busybox-static", "dropbear-bin"];
const PROGRAM: &str = "./usr/bin/perl";

/// Layers, and the container image that is made of them.
#[derive(Clone)]
pub(crate) struct Tree {
    layers: Vec<PathBuf>,
    image: String,
}

pub(crate) fn pairs() -> Result<Vec<Pair>> {
    let pair = |name, old: &[&Path], new: &[&Path]| -> Result<Pair> {
        Ok(Pair { name, old: Tree::of(old)?, new: Tree::of(new)? })
    };
    let (released, secure) = (debian(RELEASED)?, debian(SECURE)?);
    let [before, after] = applications(&secure)?;
    let [last, newest] = kernels()?;
    let [busybox, dropbear] = TINY.map(package);
    let [busybox, dropbear] = [busybox?, dropbear?];
    let [old, new] = [&released, &secure].map(|tar| one_file(tar));
    let [old, new] = [old?, new?];
    Ok(vec![
        pair("A security", &[&released], &[&secure])?,
        pair("B insertion", &[&secure, &before], &[&secure, &after])?,
        pair("C kernel", &[&secure, &last], &[&secure, &newest])?,
        pair("D rebuilt", &[&secure], &[&touched(&secure)?])?,
        pair("E tiny", &[&busybox, &dropbear, &old], &[&busybox, &dropbear, &new])?,
    ])
}

/// The last two that Debian 12 has, as tar files.
fn kernels() -> Result<[PathBuf; 2]> {
    let [before, after] = KERNEL;
    let known = run(program("apt-cache").args(["pkgnames", before]))?;
    let number = |name: &str| -> Option<u32> {
        name.strip_prefix(before)?.strip_suffix(after)?.parse().ok()
    };
    let mut numbers: Vec<u32> = known.lines().filter_map(number).collect();
    numbers.sort_unstable();
    let [.., last, newest] = numbers[..] else { bail!("apt knows too few kernels: {known}") };
    let [last, newest] = [last, newest].map(|number| package(&format!("{before}{number}{after}")));
    Ok([last?, newest?])
}

/// Unpacks a package, to where the links of a system's root lead.
const UNPACK: &str = "set -e; dpkg-deb -x *.deb root; rm *.deb
    for folder in bin lib sbin; do
        if test -d root/$folder; then mkdir -p root/usr/$folder; cp -a root/$folder/. root/usr/$folder; rm -r root/$folder; fi
    done";

/// What a package of Debian's holds, as a tar file.
fn package(name: &str) -> Result<PathBuf> {
    let folder = Recipe::new("wire-package").with(name).with(UNPACK).folder(|folder| {
        let mut download = program("apt-get");
        download.args(["download", "--quiet", "-o", "APT::Sandbox::User=root", name]);
        run(download.current_dir(folder))?;
        run(program("sh").args(["-c", UNPACK]).current_dir(folder))?;
        pack(&folder.join("root"), &folder.join("root.tar"))
    })?;
    Ok(folder.join("root.tar"))
}

/// The program of pair E alone, out of a system.
fn one_file(system: &Path) -> Result<PathBuf> {
    let recipe =
        Recipe::new("wire-program").with(PROGRAM).with(system.to_string_lossy().as_bytes());
    let folder = recipe.folder(|folder| {
        run(program("tar")
            .arg("--extract")
            .arg("--file")
            .arg(system)
            .arg(PROGRAM)
            .current_dir(folder))?;
        let mut create = program("tar");
        create.args(["--create", "--file", "root.tar", PROGRAM]);
        run(create.current_dir(folder)).map(drop)
    })?;
    Ok(folder.join("root.tar"))
}

impl Tree {
    /// A container image of these layers, as `pintle build` takes it.
    fn of(layers: &[&Path]) -> Result<Self> {
        let names: Vec<_> = layers.iter().map(|layer| layer.to_string_lossy()).collect();
        let folder = Recipe::new("wire-image").with(names.join(" ")).folder(|folder| {
            let layout = folder.join("oci");
            let name = format!("{}:latest", layout.display());
            run(program("umoci").args(["init", "--layout"]).arg(&layout))?;
            run(program("umoci").args(["new", "--image", &name]))?;
            for layer in layers {
                run(program("umoci").args(["raw", "add-layer", "--image", &name]).arg(layer))?;
            }
            run(program("umoci").args(["config", "--architecture", "amd64", "--image", &name]))
                .map(drop)
        })?;
        let layers = layers.iter().map(|layer| layer.to_path_buf()).collect();
        Ok(Self { layers, image: format!("{}:latest", folder.join("oci").display()) })
    }

    pub(crate) fn layers(&self) -> &[PathBuf] {
        &self.layers
    }

    /// Its OCI layout, and its name there.
    pub(crate) fn image(&self) -> &str {
        &self.image
    }
}

/// How apt chooses: the versions that Debian 12 has now without its updates, and with them.
const RELEASED: &[&str] = &["--aptopt=APT::Default-Release \"bookworm\""];
const SECURE: &[&str] = &[];

/// A root file system as a tar file, without devices: ostree takes none.
fn debian(options: &[&str]) -> Result<PathBuf> {
    let recipe = Recipe::new("wire-debian").with(PACKAGES).with(BUILT).with(options.join(" "));
    let folder = recipe.folder(|folder| {
        let root = folder.join("root");
        let mut command = program("mmdebstrap");
        command.env("SOURCE_DATE_EPOCH", BUILT).args(["--quiet", "--variant=minbase", PACKAGES]);
        run(command.args(options).arg("bookworm").arg(&root))?;
        pack(&root, &folder.join("root.tar"))
    })?;
    Ok(folder.join("root.tar"))
}

/// The same files, a day younger.
fn touched(tar: &Path) -> Result<PathBuf> {
    let recipe = Recipe::new("wire-touched").with(REBUILT).with(tar.to_string_lossy().as_bytes());
    let folder = recipe.folder(|folder| {
        let root = folder.join("root");
        fs::create_dir(&root)?;
        run(tar_in(&root).args(["--extract", "--file"]).arg(tar))?;
        let touch = ["-exec", "touch", "--no-dereference", "--date", REBUILT, "{}", "+"];
        run(program("find").arg(&root).args(touch))?;
        pack(&root, &folder.join("root.tar"))
    })?;
    Ok(folder.join("root.tar"))
}

/// Makes a tar file of a folder, which is gone then.
fn pack(root: &Path, tar: &Path) -> Result<()> {
    let options = ["--create", "--sort=name", "--exclude=./dev/*", "--file"];
    run(tar_in(root).args(options).arg(tar).arg("."))?;
    Ok(fs::remove_dir_all(root)?)
}

fn tar_in(root: &Path) -> Command {
    let mut command = program("tar");
    command.args(["--numeric-owner", "--xattrs", "--xattrs-include=*", "--directory"]).arg(root);
    command
}

/// An application that is built of the system's own programs, and the same with a few bytes more in one file.
fn applications(system: &Path) -> Result<[PathBuf; 2]> {
    let recipe = Recipe::new("wire-application")
        .with(format!("{APPLICATION} {CHANGED} {INSERTED}"))
        .with(system.to_string_lossy().as_bytes());
    let folder = recipe.folder(|folder| {
        // Code, of which the system has enough; backwards, so that it is not the system's.
        let mut content = fs::read(system)?;
        content.truncate(APPLICATION);
        content.reverse();
        let (changed, rest) = content.split_at(CHANGED);
        application(&folder.join("before.tar"), changed, rest)?;
        let inserted: Vec<u8> = rest.iter().rev().take(INSERTED).copied().collect();
        let (front, back) = changed.split_at(CHANGED / 2);
        application(&folder.join("after.tar"), &[front, &inserted, back].concat(), rest)
    })?;
    Ok(["before.tar", "after.tar"].map(|name| folder.join(name)))
}

/// One file that changes, and forty that do not.
fn application(tar: &Path, changed: &[u8], rest: &[u8]) -> Result<()> {
    let mut builder = tar::Builder::new(fs::File::create(tar)?);
    let mut add = |path: &str, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, content)
    };
    add("opt/application/changed", changed)?;
    for (number, part) in rest.chunks(rest.len() / 40 + 1).enumerate() {
        add(&format!("opt/application/part-{number}"), part)?;
    }
    Ok(builder.finish()?)
}
