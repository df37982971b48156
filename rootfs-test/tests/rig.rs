//! The rig itself, without pintle: a bare kernel with the agent as PID 1.

use anyhow::Result;
use pintle_rootfs_test::{Board, Disk, End, Kernel, Series, Vm, initramfs};

/// Another one each boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

#[test]
fn a_guest_answers_on_q35() -> Result<()> {
    a_guest_answers(Board::Q35, Series::Linux6_12, &["virtio_blk"])
}

#[test]
fn a_guest_answers_on_microvm() -> Result<()> {
    a_guest_answers(Board::Microvm, Series::Linux6_12, &["virtio_mmio", "virtio_blk"])
}

#[test]
fn a_guest_answers_on_linux_6_1() -> Result<()> {
    let pci =
        ["virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci"];
    let modules = [&pci[..], &["virtio_console", "virtio_blk"]].concat();
    a_guest_answers(Board::Q35, Series::Linux6_1, &modules)
}

fn a_guest_answers(board: Board, series: Series, modules: &[&str]) -> Result<()> {
    let kernel = Kernel::fetch(series)?;
    let initrd = initramfs::with_agent(&kernel, modules)?;
    let disk = tempfile::NamedTempFile::new()?;
    disk.as_file().set_len(1 << 20)?;
    let vm =
        Vm::on(board, &kernel).initrd(&initrd).cmdline("quiet").disk(Disk::keeping(disk.path()));
    let mut machine = vm.boot()?;

    assert_eq!(machine.run(&["/bin/busybox", "uname", "-r"])?.trim(), kernel.release());
    machine.write("/dev/vda", 4096, b"pintle")?;
    assert_eq!(machine.read("/dev/vda", 4094, 8)?, b"\0\0pintle");
    assert_eq!(machine.walk("/bin")?[1].path, b"busybox");

    let boot = machine.read(BOOT_ID, 0, 64)?;
    machine.reset()?;
    assert_ne!(machine.read(BOOT_ID, 0, 64)?, boot);
    machine.order(&["/bin/busybox", "poweroff", "-f"])?;
    assert_eq!(machine.wait_for_end()?, End::PowerOff);
    assert_eq!(&std::fs::read(disk.path())?[4096..4102], b"pintle");
    Ok(())
}
