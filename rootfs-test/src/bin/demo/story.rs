//! What the demo shows, step by step. Every step fails the demo if it does not hold.

use anyhow::{Result, ensure};
use pintle_rootfs_test::agent::Output;
use pintle_rootfs_test::{Accelerator, Board, Ext4, Machine, State, Vm};

use crate::teller::Teller;
use crate::workshop::Workshop;

/// Where the machine finds the releases that the demo brings it.
const SHELF: &str = "/mnt";

/// Tells the whole story.
pub(crate) fn tell() -> Result<()> {
    let mut teller = Teller::new();
    let workshop = make_images(&mut teller)?;
    let state = State::new()?.with("1_1.0.0", &workshop.first)?.disk()?;
    let shelf = shelf(&workshop)?;
    let vm = Vm::on(Board::Q35, &workshop.kernel).initrd(&workshop.initrd).cmdline("quiet");
    let vm = vm.disk(state.disk()).disk(shelf.disk());

    let mut machine = first_boot(&vm, &mut teller)?;
    refuse_a_stranger(&mut machine, &mut teller)?;
    update(&mut machine, &mut teller)?;
    fall_back(&mut machine, &mut teller)?;
    switch_off(machine, &state, &mut teller)?;
    refuse_tampering(&vm, &state, &mut teller)?;
    teller.end();
    Ok(())
}

fn make_images(teller: &mut Teller) -> Result<Workshop> {
    teller.step("Container images become signed, read-only images: pintle build oci:… --key …");
    let workshop = Workshop::open()?;
    for release in [&workshop.first, &workshop.second, &workshop.broken, &workshop.strange] {
        teller.says(release.summary().lines().next().unwrap_or_default());
    }
    Ok(workshop)
}

fn first_boot(vm: &Vm, teller: &mut Teller) -> Result<Machine> {
    let how = match Accelerator::of_host()? {
        Accelerator::Kvm => "with KVM",
        Accelerator::Tcg => "emulated, so slower than a real one",
    };
    teller.step(&format!(
        "A machine boots image 1.0.0 ({how}). Every block that it reads is checked."
    ));
    let mut machine = vm.boot()?;
    machine.wait_for("healthy")?;
    teller.report(&machine);
    greets(&mut machine, "1.0.0", teller)?;
    mount_shelf(&mut machine)?;
    Ok(machine)
}

fn refuse_a_stranger(machine: &mut Machine, teller: &mut Teller) -> Result<()> {
    teller.step("Somebody else's image is refused: its key is none of the machine's.");
    let tried = install_from_shelf(machine, "strange")?;
    ensure!(tried.status != 0, "the stranger's image was installed");
    teller.says(String::from_utf8_lossy(&tried.stderr).trim());
    Ok(())
}

fn update(machine: &mut Machine, teller: &mut Teller) -> Result<()> {
    teller.step(
        "Image 1.1.0 is installed beside it, and booted on trial. It is healthy, so it is kept.",
    );
    install(machine, "second", teller)?;
    let blessed = machine.wait_until("1.1.0 blessed", |report| {
        report.event() == "blessed" && report.text("entry").starts_with("2_1.1.0")
    });
    teller.report(machine);
    blessed?;
    greets(machine, "1.1.0", teller)
}

fn fall_back(machine: &mut Machine, teller: &mut Teller) -> Result<()> {
    teller.step(
        "Image 1.2.0 is broken: its service cannot start. After three tries 1.1.0 is back, and remembers it.",
    );
    mount_shelf(machine)?;
    install(machine, "broken", teller)?;
    machine.wait_until("1.1.0 again", |report| {
        report.event() == "entry-chosen" && report.text("entry") == "2_1.1.0"
    })?;
    machine.wait_for("bad-remembered")?;
    teller.report(machine);
    greets(machine, "1.1.0", teller)?;
    mount_shelf(machine)?;
    let again = install_from_shelf(machine, "broken")?;
    ensure!(again.status != 0, "the broken image was installed again");
    teller.says(String::from_utf8_lossy(&again.stderr).trim());
    Ok(())
}

fn switch_off(mut machine: Machine, state: &Ext4, teller: &mut Teller) -> Result<()> {
    teller.step(
        "The machine is switched off. Its file system is clean, and its boot menu is a listing:",
    );
    machine.order(&["/bin/pintlectl", "poweroff"])?;
    machine.wait_for_end()?;
    teller.report(&machine);
    state.check()?;
    teller.says(&format!("images/: {}", state.names_in("/images")?.join("  ")));
    Ok(())
}

fn refuse_tampering(vm: &Vm, state: &Ext4, teller: &mut Teller) -> Result<()> {
    teller.step("One byte of image 1.1.0 is changed on the disk. It is refused, and 1.0.0 boots.");
    state.flip("/images/2_1.1.0/root.img", EROFS_SUPERBLOCK)?;
    teller.begin_report();
    let mut machine = vm.boot()?;
    let refused = machine.wait_for("entry-refused")?;
    machine.wait_for("healthy")?;
    teller.report(&machine);
    ensure!(refused.text("entry") == "2_1.1.0", "another entry was refused: {}", refused.line());
    greets(&mut machine, "1.0.0", teller)
}

/// Where the superblock of an EROFS image stands.
const EROFS_SUPERBLOCK: u64 = 1024;

/// A disk with the releases that are to be installed.
fn shelf(workshop: &Workshop) -> Result<Ext4> {
    let folder = tempfile::tempdir()?;
    for (name, release) in
        [("second", &workshop.second), ("broken", &workshop.broken), ("strange", &workshop.strange)]
    {
        release.copy_to(&folder.path().join(name))?;
    }
    Ext4::of(folder.path(), "shelf")
}

fn install_from_shelf(machine: &mut Machine, name: &str) -> Result<Output> {
    machine.try_run(&["/bin/pintlectl", "install", &format!("{SHELF}/{name}")])
}

/// A reboot has unmounted it.
fn mount_shelf(machine: &mut Machine) -> Result<()> {
    machine.run(&["/bin/mount", "-o", "ro", "/dev/vdb", SHELF]).map(drop)
}

/// Installs a release from the shelf and reboots into it.
fn install(machine: &mut Machine, name: &str, teller: &mut Teller) -> Result<()> {
    let said = install_from_shelf(machine, name)?;
    ensure!(said.status == 0, "it was not installed: {}", String::from_utf8_lossy(&said.stderr));
    teller.says(String::from_utf8_lossy(&said.stdout).trim());
    machine.order(&["/bin/pintlectl", "reboot"])
}

fn greets(machine: &mut Machine, version: &str, teller: &Teller) -> Result<()> {
    let greeting = machine.run(&["/bin/cat", "/run/greeting"])?;
    ensure!(greeting.trim() == format!("hello from {version}"), "it says {greeting:?}");
    teller.says(&format!("Its service says: {}", greeting.trim()));
    Ok(())
}
