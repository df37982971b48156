//! A boot loads the modules that its way of checking the root needs, and no others, although its initramfs has them.

use std::collections::BTreeSet;

use anyhow::Result;
use pintle_rootfs_test::{
    Base, Board, ContainerImage, Initrd, Kernel, Keys, Release, Series, State, Vm,
};

/// EROFS, the virtio disk, faster checking, and `/etc`.
const EVERY_BOOT: [&str; 5] = ["erofs", "libcrc32c", "overlay", "sha256_ssse3", "virtio_blk"];

const DM: [&str; 5] = ["dm_bufio", "dm_mod", "dm_verity", "loop", "reed_solomon"];

#[test]
fn by_fs_verity_neither_device_mapper_nor_loop_is_loaded() -> Result<()> {
    assert_eq!(loaded(&[])?, EVERY_BOOT.map(Into::into).into());
    Ok(())
}

#[test]
fn by_dm_verity_both_are_loaded() -> Result<()> {
    let expected = EVERY_BOOT.into_iter().chain(DM).map(Into::into).collect();
    assert_eq!(loaded(&["verity=dm"])?, expected);
    Ok(())
}

/// What a machine with these settings has loaded. Without any it takes fs-verity, which its kernel and its state file
/// system have, and carries the modules of both ways.
fn loaded(settings: &[&str]) -> Result<BTreeSet<String>> {
    let (kernel, keys) = (Kernel::fetch(Series::Linux6_12)?, Keys::of("builder")?);
    let release = Release::build(&ContainerImage::of(Base::Busybox, "1.0.0"), 1, &keys)?;
    let state = State::new()?.with("1_1.0.0", &release)?.disk()?;
    let initrd = Initrd::of(&kernel, &keys);
    let initrd = settings.iter().fold(initrd, |initrd, setting| initrd.set(setting)).make()?;
    let vm = Vm::on(Board::Q35, &kernel).initrd(&initrd).cmdline("quiet").disk(state.disk());
    let mut machine = vm.boot()?;
    machine.wait_for("healthy")?;
    let listing = machine.run(&["/bin/cat", "/proc/modules"])?;
    let names = listing.lines().filter_map(|line| line.split(' ').next());
    Ok(names.map(Into::into).collect())
}
