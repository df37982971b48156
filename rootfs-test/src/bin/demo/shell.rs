//! `cargo boot -- --shell`: an unlocked demo machine on this terminal.

use anyhow::Result;
use pintle_rootfs_test::{Board, Initrd, Kernel, Keys, Release, Series, State, Vm};

use crate::workshop::greeter;

/// Boots the machine and gives the terminal to it.
pub(crate) fn open() -> Result<()> {
    println!(
        "An unlocked machine follows. `pintlectl status` shows it, `pintlectl poweroff` leaves it."
    );
    println!("Should it not answer: Ctrl-A, then X.\n");
    let keys = Keys::of("builder")?;
    let kernel = Kernel::fetch(Series::Linux6_12)?;
    let initrd = Initrd::of(&kernel, &keys).set("lock=unlocked").make()?;
    let release = Release::build(&greeter("1.0.0"), 1, &keys)?;
    let disk = State::new()?.with("1_1.0.0", &release)?.disk()?;
    let vm = Vm::on(Board::Q35, &kernel).initrd(&initrd).disk(disk.disk());
    vm.cmdline("quiet pintle.shell=stage2")
        .ending_on_reset()
        .at_terminal()
        .boot()?
        .wait_at_terminal()
}
