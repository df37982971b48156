//! The rig's own initramfs: the agent as PID 1, to ask a bare kernel questions without pintle.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::cache::Recipe;
use crate::cargo::Binary;
use crate::host::{program, run};
use crate::kernel::Kernel;

/// Packs the agent, busybox and the named modules, which are loaded in this order.
///
/// # Errors
/// When the kernel has no such module.
pub fn with_agent(kernel: &Kernel, modules: &[&str]) -> Result<PathBuf> {
    let agent = Binary::Agent.build()?;
    let recipe = Recipe::new("agent-initramfs").with_file(&agent)?;
    let recipe = recipe.with(kernel.release()).with(modules.join(" "));
    let folder = recipe.folder(|folder| {
        let root = folder.join("root");
        fs::create_dir_all(root.join("bin"))?;
        fs::copy(&agent, root.join("init"))?;
        fs::copy("/bin/busybox", root.join("bin/busybox"))?;
        add_modules(kernel, modules, &root.join("modules"))?;
        pack(&root, &folder.join("initramfs.cpio"))
    })?;
    Ok(folder.join("initramfs.cpio"))
}

/// Puts the named modules of a kernel into `folder` as `NN-NAME.ko`, uncompressed and numbered in this order.
///
/// # Errors
/// When the kernel has no such module.
pub fn add_modules(kernel: &Kernel, modules: &[&str], folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for (number, name) in modules.iter().enumerate() {
        let module = find_module(&kernel.modules(), name)?;
        add_module(&module, &folder.join(format!("{number:02}-{name}.ko")))?;
    }
    Ok(())
}

fn add_module(module: &Path, to: &Path) -> Result<()> {
    if module.extension().is_some_and(|extension| extension == "xz") {
        run(program("xz")
            .args(["--decompress", "--stdout"])
            .arg(module)
            .stdout(File::create(to)?))?;
        return Ok(());
    }
    fs::copy(module, to)?;
    Ok(())
}

/// The kernel writes `_` where some files have `-`.
fn find_module(modules: &Path, name: &str) -> Result<PathBuf> {
    let pattern = format!("{}.ko*", name.replace(['-', '_'], "[-_]"));
    let found = run(program("find").arg(modules).args(["-name", &pattern]))?;
    match found.lines().next() {
        Some(path) => Ok(path.into()),
        None => bail!("cannot find the module {name} in {}", modules.display()),
    }
}

/// Packs a folder as a cpio archive that the kernel unpacks.
///
/// # Errors
/// When `find` or `cpio` fails.
pub fn pack(root: &Path, to: &Path) -> Result<()> {
    let listing = run(program("find").arg(".").current_dir(root))?;
    let names = to.with_extension("names");
    fs::write(&names, listing)?;
    run(program("cpio")
        .args(["--create", "--format=newc", "--quiet"])
        .current_dir(root)
        .stdin(File::open(&names)?)
        .stdout(File::create(to)?))
    .context("cannot pack the initramfs")?;
    Ok(())
}

/// Appends an archive with one file to an initramfs: the kernel unpacks it over what came before. The result is in
/// `folder`.
///
/// # Errors
/// When the archive cannot be packed.
pub fn with_more(initrd: &Path, name: &str, content: &[u8], folder: &Path) -> Result<PathBuf> {
    let (root, archive) = (folder.join("root"), folder.join("more.cpio"));
    let file = root.join(name);
    fs::create_dir_all(file.parent().unwrap_or(&root))?;
    fs::write(file, content)?;
    pack(&root, &archive)?;
    run(program("zstd").args(["--quiet", "--force"]).arg(&archive))?;
    let both = [fs::read(initrd)?, fs::read(archive.with_extension("cpio.zst"))?].concat();
    fs::write(folder.join("initrd"), both)?;
    Ok(folder.join("initrd"))
}
