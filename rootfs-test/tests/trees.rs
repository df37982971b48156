//! The tree that a kernel shows of an image is the tree that umoci unpacks, file by file.

use anyhow::{Result, ensure};
use pintle_rootfs_test::walk::Node;
use pintle_rootfs_test::{
    Base, Board, ContainerImage, Disk, Kernel, Keys, Release, Series, Vm, initramfs,
};

/// What a kernel needs for a disk with EROFS on it, in the order of loading.
const MODULES_6_1: [&str; 9] = [
    "virtio_ring",
    "virtio",
    "virtio_pci_modern_dev",
    "virtio_pci_legacy_dev",
    "virtio_pci",
    "virtio_console",
    "virtio_blk",
    "libcrc32c",
    "erofs",
];
const MODULES_6_12: [&str; 3] = ["virtio_blk", "libcrc32c", "erofs"];

/// What `pintle build` adds to a tree.
const COMPILED: &[u8] = b"usr/lib/pintle/system.bin";

/// Differences that an error shows.
const SHOWN: usize = 20;

#[test]
fn linux_6_1_shows_the_busybox_image_as_umoci_unpacks_it() -> Result<()> {
    same_tree(Base::Busybox, Series::Linux6_1, &MODULES_6_1)
}

#[test]
fn linux_6_12_shows_the_busybox_image_as_umoci_unpacks_it() -> Result<()> {
    same_tree(Base::Busybox, Series::Linux6_12, &MODULES_6_12)
}

#[test]
fn linux_6_1_shows_the_debian_image_as_umoci_unpacks_it() -> Result<()> {
    same_tree(Base::Debian, Series::Linux6_1, &MODULES_6_1)
}

#[test]
fn linux_6_12_shows_the_debian_image_as_umoci_unpacks_it() -> Result<()> {
    same_tree(Base::Debian, Series::Linux6_12, &MODULES_6_12)
}

fn same_tree(base: Base, series: Series, modules: &[&str]) -> Result<()> {
    let image = ContainerImage::of(base, "1.0.0");
    let expected = image.unpacked()?;
    let mut shown = mounted(&image, &Kernel::fetch(series)?, modules)?;
    shown.retain(|node| node.path != COMPILED);
    let differences = differences(&expected, &shown);
    ensure!(differences.is_empty(), "the trees differ:\n{}", differences.join("\n"));
    ensure!(expected.len() > 100, "an image with {} files proves little", expected.len());
    Ok(())
}

fn mounted(image: &ContainerImage, kernel: &Kernel, modules: &[&str]) -> Result<Vec<Node>> {
    let release = Release::build(image, 1, &Keys::of("builder")?)?;
    let initrd = initramfs::with_agent(kernel, modules)?;
    let disk = Disk::forgetting(&release.folder().join("root.img"));
    let mut machine =
        Vm::on(Board::Q35, kernel).initrd(&initrd).cmdline("quiet").disk(disk).boot()?;
    machine.run(&["/bin/busybox", "mkdir", "/mnt"])?;
    machine.run(&["/bin/busybox", "mount", "-t", "erofs", "-o", "ro", "/dev/vda", "/mnt"])?;
    machine.walk("/mnt")
}

/// A line for each path that is not the same on both sides.
fn differences(expected: &[Node], shown: &[Node]) -> Vec<String> {
    let missing =
        expected.iter().filter(|node| !shown.contains(node)).map(|node| format!("- {node}"));
    let surplus =
        shown.iter().filter(|node| !expected.contains(node)).map(|node| format!("+ {node}"));
    missing.take(SHOWN).chain(surplus.take(SHOWN)).collect()
}
