//! What other tools send.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use pintle_rootfs_test::host::{program, run};

/// Chunks of the new image that are not in the old one's store, as they are stored, and the new one's index.
pub(crate) fn casync([old, new]: &[PathBuf; 2]) -> Result<u64> {
    let folder = tempfile::tempdir()?;
    let (store, index) = (folder.path().join("store"), folder.path().join("index.caibx"));
    let make = |image: &Path| {
        let mut casync = program("casync");
        casync.arg("make").arg("--store").arg(&store).arg(&index).arg(image);
        run(&mut casync)
    };
    make(old)?;
    let before = size_of(&store)?;
    make(new)?;
    Ok(size_of(&store)? - before + fs::metadata(&index)?.len())
}

/// One patch of the whole image.
pub(crate) fn zstd([old, new]: &[PathBuf; 2]) -> Result<u64> {
    let folder = tempfile::tempdir()?;
    let patch = folder.path().join("patch");
    let mut zstd = program("zstd");
    zstd.args(["-19", "--long=31", "--quiet", "-T2"])
        .arg(format!("--patch-from={}", old.display()));
    run(zstd.arg(new).arg("-o").arg(&patch))?;
    Ok(fs::metadata(&patch)?.len())
}

fn size_of(folder: &Path) -> Result<u64> {
    let sizes = fs::read_dir(folder)?.map(|entry| {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            size_of(&entry.path())
        } else {
            Ok(entry.metadata()?.len())
        }
    });
    sizes.sum()
}
