//! What other tools send.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::Path;

use anyhow::{Context, Result};
use pintle_rootfs_test::host::{program, run};
use sha2::{Digest, Sha256};

use crate::{Built, size};

/// Chunks of the new image that are not in the old one's store, as they are stored, and the new one's index.
pub(crate) fn casync(built: &Built) -> Result<u64> {
    let folder = tempfile::tempdir()?;
    let (store, index) = (folder.path().join("store"), folder.path().join("index.caibx"));
    let make = |image: &Path| {
        let mut casync = program("casync");
        casync.arg("make").arg("--store").arg(&store).arg(&index).arg(image);
        run(&mut casync)
    };
    let [old, new] = built.images();
    make(&old)?;
    let before = size_below(&store)?;
    make(&new)?;
    Ok(size_below(&store)? - before + size(&index)?)
}

fn size_below(folder: &Path) -> Result<u64> {
    let sizes = fs::read_dir(folder)?.map(|entry| {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            size_below(&entry.path())
        } else {
            Ok(entry.metadata()?.len())
        }
    });
    sizes.sum()
}

/// What `zck_delta_size` says of the images.
pub(crate) fn zchunk(built: &Built) -> Result<u64> {
    let folder = tempfile::tempdir()?;
    let [old, new] = ["old", "new"].map(|name| folder.path().join(name));
    for (image, zchunk) in built.images().iter().zip([&old, &new]) {
        run(program("zck").arg("--output").arg(zchunk).arg(image))?;
    }
    let said = run(program("zck_delta_size").arg(&old).arg(&new))?;
    let bytes =
        said.lines().find_map(|line| line.strip_prefix("Would download ")?.split(' ').next());
    bytes.with_context(|| said.clone())?.parse().context(said)
}

/// One patch of the whole image.
pub(crate) fn zstd(built: &Built) -> Result<u64> {
    let folder = tempfile::tempdir()?;
    let patch = folder.path().join("patch");
    let [old, new] = built.images();
    let mut zstd = program("zstd");
    zstd.args(["--ultra", "-22", "--long=31", "--quiet"]);
    zstd.arg(format!("--patch-from={}", old.display()));
    run(zstd.arg(new).arg("-o").arg(&patch))?;
    size(&patch)
}

const BLOCK: usize = 4096;

/// A hash for each 4 KiB, and those that the old image has nowhere, compressed one by one: what RAUC's adaptive updates fetch.
/// Computed.
pub(crate) fn index(built: &Built) -> Result<u64> {
    let mut here = HashSet::new();
    let [old, new] = built.images();
    each_block(&old, |block| {
        here.insert(hash(block));
        Ok(())
    })?;
    let mut bytes = 0;
    each_block(&new, |block| {
        bytes += size_of::<Hash>() as u64;
        if here.insert(hash(block)) {
            bytes += zstd::bulk::compress(block, 19)?.len() as u64;
        }
        Ok(())
    })?;
    Ok(bytes)
}

type Hash = [u8; 32];

fn hash(block: &[u8]) -> Hash {
    Sha256::digest(block).into()
}

fn each_block(image: &Path, mut visit: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let (mut image, mut block) = (File::open(image)?, [0; BLOCK]);
    loop {
        match image.read_exact(&mut block) {
            Ok(()) => visit(&block)?,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// One file that holds all that is new.
pub(crate) fn ostree(built: &Built) -> Result<u64> {
    let folder = tempfile::tempdir()?;
    let (repository, delta) = (folder.path().join("repository"), folder.path().join("delta"));
    let ostree = |command: &[&str]| {
        let mut ostree = program("ostree");
        ostree.args(command).arg("--repo").arg(&repository);
        ostree
    };
    run(&mut ostree(&["init", "--mode=archive"]))?;
    for (name, tree) in ["old", "new"].iter().zip(built.trees()) {
        let mut commit = ostree(&["commit", "--tar-autocreate-parents", "--branch", name]);
        commit.args(tree.layers().iter().map(|layer| format!("--tree=tar={}", layer.display())));
        run(&mut commit)?;
    }
    let mut generate = ostree(&["static-delta", "generate", "--inline", "--min-fallback-size=0"]);
    run(generate.args(["--from=old", "--to=new", "--filename"]).arg(&delta))?;
    size(&delta)
}
