//! A machine boots, whatever it is made of, and leaves everything clean.

use anyhow::{Result, ensure};
use pintle_rootfs_test::{
    Base, Board, ContainerImage, End, Initrd, Kernel, Keys, Machine, Release, Series, State, Vm,
};

macro_rules! boots {
    ($($name:ident: $base:ident, $series:ident, $board:ident, $verity:literal;)+) => { $(
        #[test]
        fn $name() -> Result<()> {
            boots(Base::$base, Series::$series, Board::$board, $verity)
        }
    )+ };
}

boots! {
    busybox_by_dm_on_linux_6_1_q35: Busybox, Linux6_1, Q35, "dm";
    busybox_by_dm_on_linux_6_1_microvm: Busybox, Linux6_1, Microvm, "dm";
    busybox_by_dm_on_linux_6_12_q35: Busybox, Linux6_12, Q35, "dm";
    busybox_by_dm_on_linux_6_12_microvm: Busybox, Linux6_12, Microvm, "dm";
    busybox_by_fs_on_linux_6_12_q35: Busybox, Linux6_12, Q35, "fs";
    busybox_by_fs_on_linux_6_12_microvm: Busybox, Linux6_12, Microvm, "fs";
    debian_by_dm_on_linux_6_1_q35: Debian, Linux6_1, Q35, "dm";
    debian_by_dm_on_linux_6_1_microvm: Debian, Linux6_1, Microvm, "dm";
    debian_by_dm_on_linux_6_12_q35: Debian, Linux6_12, Q35, "dm";
    debian_by_dm_on_linux_6_12_microvm: Debian, Linux6_12, Microvm, "dm";
    debian_by_fs_on_linux_6_12_q35: Debian, Linux6_12, Q35, "fs";
    debian_by_fs_on_linux_6_12_microvm: Debian, Linux6_12, Microvm, "fs";
    busybox_by_what_linux_6_1_can: Busybox, Linux6_1, Q35, "auto";
    busybox_by_what_linux_6_12_can: Busybox, Linux6_12, Q35, "auto";
}

fn boots(base: Base, series: Series, board: Board, verity: &str) -> Result<()> {
    let expected = match (verity, series) {
        ("auto", Series::Linux6_1) => "dm",
        ("auto", Series::Linux6_12) => "fs",
        (given, _) => given,
    };
    let keys = Keys::of("builder")?;
    let kernel = Kernel::fetch(series)?;
    let release = Release::build(&ContainerImage::of(base, "1.0.0"), 1, &keys)?;
    let state = State::new()?.with("1_1.0.0", &release)?.disk()?;
    let initrd = Initrd::of(&kernel, &keys).set(&format!("verity={verity}")).make()?;
    let vm = Vm::on(board, &kernel).initrd(&initrd).cmdline("quiet").disk(state.disk());
    let mut machine = vm.boot()?;

    assert_eq!(machine.wait_for("root-mounted")?.text("verity"), expected);
    machine.wait_for("healthy")?;
    machine.wait_for("blessed")?;
    assert_eq!(machine.run(&["/bin/uname", "-r"])?.trim(), kernel.release());
    the_root_is_an_image(&mut machine)?;
    assert_eq!(has_mapped_device(&mut machine)?, expected == "dm");

    machine.order(&["/bin/pintlectl", "poweroff"])?;
    assert_eq!(machine.wait_for_end()?, End::PowerOff);
    let complaints = machine.reports().iter().filter(|report| report.event() == "alert");
    assert_eq!(complaints.map(|report| report.line()).collect::<Vec<_>>(), [""; 0]);
    assert_eq!(state.names_in("/images")?, ["1_1.0.0"]);
    assert_eq!(state.is_sealed_by_fsverity("/images/1_1.0.0/root.img")?, expected == "fs");
    state.check()
}

/// By what the kernel says, and not pintle.
fn the_root_is_an_image(machine: &mut Machine) -> Result<()> {
    let mounts = machine.run(&["/bin/cat", "/proc/self/mounts"])?;
    let root = mounts.lines().find(|line| line.split(' ').nth(1) == Some("/")).unwrap_or_default();
    ensure!(root.split(' ').nth(2) == Some("erofs"), "the root is no image: {mounts}");
    Ok(())
}

fn has_mapped_device(machine: &mut Machine) -> Result<bool> {
    Ok(machine.try_run(&["/bin/test", "-d", "/sys/block/dm-0/dm"])?.status == 0)
}
