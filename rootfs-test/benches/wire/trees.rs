//! The images: Debian's packages, and what is changed in them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
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

pub(crate) fn pairs() -> Result<Vec<Pair>> {
    let pair = |name, old, new| Pair { name, old, new };
    let (released, secure) = (debian(RELEASED)?, debian(SECURE)?);
    let [before, after] = applications(&secure)?;
    Ok(vec![
        pair("A security", image(&[&released])?, image(&[&secure])?),
        pair("B insertion", image(&[&secure, &before])?, image(&[&secure, &after])?),
        pair("D rebuilt", image(&[&secure])?, image(&[&touched(&secure)?])?),
    ])
}

/// How apt chooses: the versions that Debian 12 has now without its updates, and with them.
const RELEASED: &[&str] = &["--aptopt=APT::Default-Release \"bookworm\""];
const SECURE: &[&str] = &[];

/// A root file system as a tar file.
fn debian(options: &[&str]) -> Result<PathBuf> {
    let recipe = Recipe::new("wire-debian").with(PACKAGES).with(BUILT).with(options.join(" "));
    let folder = recipe.folder(|folder| {
        let mut command = program("mmdebstrap");
        command.env("SOURCE_DATE_EPOCH", BUILT).args(["--quiet", "--variant=minbase", PACKAGES]);
        run(command.args(options).arg("bookworm").arg(folder.join("root.tar"))).map(drop)
    })?;
    Ok(folder.join("root.tar"))
}

/// The same files, a day younger.
fn touched(tar: &Path) -> Result<PathBuf> {
    let recipe = Recipe::new("wire-touched").with(REBUILT).with(tar.to_string_lossy().as_bytes());
    let folder = recipe.folder(|folder| {
        let root = folder.join("root");
        fs::create_dir(&root)?;
        let tar_in = || {
            let mut command = program("tar");
            command.args(["--numeric-owner", "--xattrs", "--xattrs-include=*", "--directory"]);
            command.arg(&root);
            command
        };
        run(tar_in().args(["--extract", "--file"]).arg(tar))?;
        let touch = ["-exec", "touch", "--no-dereference", "--date", REBUILT, "{}", "+"];
        run(program("find").arg(&root).args(touch))?;
        let touched = folder.join("root.tar");
        run(tar_in().args(["--create", "--sort=name", "--file"]).arg(touched).arg("."))?;
        Ok(fs::remove_dir_all(root)?)
    })?;
    Ok(folder.join("root.tar"))
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

/// A container image of these layers, as `pintle build` takes it.
fn image(layers: &[&Path]) -> Result<String> {
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
    Ok(format!("oci:{}:latest", folder.join("oci").display()))
}
