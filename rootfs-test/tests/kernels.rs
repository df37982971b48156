//! Debian's kernel packages as the host tool reads them, held against kmod, lz4 and zstd.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, ensure};
use pintle_config::{ModuleName, ModuleTable, Purpose, Value};
use pintle_image::kmod::{Catalogue, Need, Plan, Wanted};
use pintle_image::vmlinuz::{BzImage, read_kernel};
use pintle_rootfs_test::{Kernel, Series, host};

/// What a machine loads that has all of Debian's ways to its root.
const MODULES: [&str; 7] =
    ["erofs", "dm_verity", "loop", "overlay", "virtio_blk", "virtio_mmio", "ext4"];

#[test]
fn every_module_of_linux_6_1_needs_what_depmod_says() -> Result<()> {
    every_module_needs_what_depmod_says(Series::Linux6_1)
}

#[test]
fn every_module_of_linux_6_12_needs_what_depmod_says() -> Result<()> {
    every_module_needs_what_depmod_says(Series::Linux6_12)
}

#[test]
fn a_package_is_as_good_as_its_unpacked_directory() -> Result<()> {
    for series in [Series::Linux6_1, Series::Linux6_12] {
        let kernel = Kernel::fetch(series)?;
        let scratch = tempfile::tempdir()?;
        let package = Catalogue::open(&kernel.package(), scratch.path())?;
        let directory = Catalogue::open(&kernel.modules(), scratch.path())?;
        ensure!(package.release() == kernel.release() && directory.release() == kernel.release());
        let (from_package, from_directory) = (plan(&package)?, plan(&directory)?);
        ensure!(from_package.table()? == from_directory.table()?);
        let mut files = from_package.modules.iter().zip(&from_directory.modules);
        ensure!(files.all(|(packed, unpacked)| packed.elf == unpacked.elf));
    }
    Ok(())
}

#[test]
fn devices_lead_to_their_modules_and_nothing_else_does() -> Result<()> {
    let kernel = Kernel::fetch(Series::Linux6_12)?;
    let scratch = tempfile::tempdir()?;
    let table = plan(&Catalogue::open(&kernel.modules(), scratch.path())?)?.table()?;
    let table = ModuleTable::from_bytes(&table.to_bytes()?)?;
    let with_aliases = table.modules.iter().filter(|module| !module.aliases.is_empty());
    let names: Vec<_> = with_aliases.map(|module| module.name.as_str()).collect();
    assert_eq!(names, ["virtio_blk", "virtio_mmio"]);
    let hardware: Vec<_> = table.roots(Purpose::Hardware).collect();
    assert_eq!(hardware.len(), 2);
    Ok(())
}

#[test]
fn a_kernel_is_decompressed_as_other_programs_do_it() -> Result<()> {
    for series in [Series::Linux6_1, Series::Linux6_12] {
        let kernel = Kernel::fetch(series)?;
        let image = read_kernel(&kernel.package())?;
        let image = BzImage::new(&image).context("not a bzImage")?;
        assert_eq!(image.release(), Some(kernel.release()));
        ensure!(image.vmlinux()? == fs::read(kernel.vmlinux())?, "{series:?}: not the same bytes");
    }
    Ok(())
}

fn plan(catalogue: &Catalogue) -> Result<Plan> {
    let wanted: Result<Vec<_>> = MODULES.iter().map(|name| wanted(name)).collect();
    Ok(catalogue.plan(&wanted?)?)
}

fn wanted(name: &str) -> Result<Wanted> {
    let module = ModuleName::from_text(name).with_context(|| format!("{name:?} is no name"))?;
    Ok(Wanted { module, purpose: None, need: Need::Required })
}

fn every_module_needs_what_depmod_says(series: Series) -> Result<()> {
    let kernel = Kernel::fetch(series)?;
    let scratch = tempfile::tempdir()?;
    let catalogue = Catalogue::open(&kernel.modules(), scratch.path())?;
    let expected = by_depmod(&kernel)?;
    ensure!(expected.len() > 1000, "depmod lists only {} modules", expected.len());
    for (name, needs) in expected {
        let plan = catalogue.plan(&[wanted(&name)?])?;
        assert_eq!(needed(&plan), needs, "{name}");
    }
    Ok(())
}

/// All that the last module of the plan needs, soft dependencies aside.
fn needed(plan: &Plan) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut left: Vec<_> = plan.modules.last().map(|last| last.depends.clone()).unwrap_or_default();
    while let Some(module) = left.pop().map(|at| &plan.modules[usize::from(at)]) {
        found.insert(module.name.to_string());
        left.extend(&module.depends);
    }
    found
}

/// Each module with all that it needs.
fn by_depmod(kernel: &Kernel) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let root = kernel.modules().join("../../..").canonicalize()?;
    let mut depmod = host::program("depmod");
    let lists = host::run(depmod.args(["-n", "-b"]).arg(root).arg(kernel.release()))?;
    let lines = lists.lines().filter_map(|line| line.split_once(':'));
    let modules = lines.filter(|(path, _)| path.starts_with("kernel/"));
    let names = |paths: &str| paths.split_whitespace().map(name).collect();
    Ok(modules.map(|(path, needs)| (name(path), names(needs))).collect())
}

fn name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split(".ko").next().unwrap_or(file).replace('-', "_")
}
