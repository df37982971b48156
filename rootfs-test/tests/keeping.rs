//! What a machine keeps, what it forgets, and what it does when something of it is missing or damaged.

use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use pintle_rootfs_test::cargo::Binary;
use pintle_rootfs_test::{
    Base, Board, ContainerImage, End, Ext4, Initrd, Kernel, Keys, Machine, Release, Series, State,
    Vm, initramfs,
};

/// Where ext4 has its superblock, and how long it is.
const SUPERBLOCK: u64 = 1024;
const SUPERBLOCK_LEN: usize = 1024;

/// A file that a story writes, one on each side.
const IN_ETC: &str = "/etc/mine";
const IN_VAR: &str = "/var/mine";

#[test]
fn local_changes_outlive_a_reboot_and_not_a_factory_reset() -> Result<()> {
    let disk = one_image()?;
    let mut machine = vm(&[])?.disk(disk.disk()).boot()?;
    machine.wait_for("blessed")?;
    change(&mut machine)?;
    reboot(&mut machine)?;
    ensure!(machine.run(&["/bin/cat", IN_ETC, IN_VAR])? == "mine\nmine\n");
    ensure!(machine.run(&["/bin/cat", "/etc/group"])?.starts_with("nobody-knows\n"));

    machine.run(&["/bin/touch", "/run/pintle/state/data/factory-reset"])?;
    machine.order(&["/bin/pintlectl", "reboot"])?;
    machine.wait_for("data-fresh")?;
    machine.wait_for("blessed")?;
    ensure!(machine.try_run(&["/bin/cat", IN_ETC])?.status != 0, "{IN_ETC} is still there");
    ensure!(machine.try_run(&["/bin/cat", IN_VAR])?.status != 0, "{IN_VAR} is still there");
    ensure!(machine.run(&["/bin/cat", "/etc/group"])?.starts_with("root:x:0:\n"));
    Ok(())
}

#[test]
fn changes_in_a_transient_etc_are_gone_after_a_reboot() -> Result<()> {
    let disk = one_image()?;
    let mut machine = vm(&["etc=transient"])?.disk(disk.disk()).boot()?;
    machine.wait_for("blessed")?;
    change(&mut machine)?;
    reboot(&mut machine)?;
    ensure!(machine.try_run(&["/bin/cat", IN_ETC])?.status != 0, "{IN_ETC} is still there");
    ensure!(machine.run(&["/bin/cat", "/etc/group"])?.starts_with("root:x:0:\n"));
    ensure!(machine.run(&["/bin/cat", IN_VAR])? == "mine\n");
    Ok(())
}

#[test]
fn a_state_device_that_does_not_come_is_reported_with_what_is_there() -> Result<()> {
    let disk = Ext4::of(State::new()?.path("").as_path(), "another-label")?;
    let settings = ["state-timeout=1s", "recovery=power-off", "recovery-delay=1s"];
    let mut machine = vm(&settings)?.disk(disk.disk()).boot()?;
    let alert = machine.wait_for("alert")?;
    for words in ["cannot find device LABEL=pintle-state", "vda", "another-label"] {
        ensure!(alert.text("cause").contains(words), "{words}: {}", alert.line());
    }
    machine.wait_for("recovery")?;
    ensure!(machine.wait_for_end()? == End::PowerOff);
    Ok(())
}

/// Nothing polls for it: the kernel tells that it has come.
#[test]
fn a_state_device_that_comes_late_is_waited_for() -> Result<()> {
    let disk = one_image()?;
    // Another disk shows that the machine looks for its own.
    let other = Ext4::of(State::new()?.path("").as_path(), "another-label")?;
    let mut machine = vm(&[])?.disk(other.disk()).late_disk(disk.disk()).boot()?;
    machine.wait_for("waiting")?;
    machine.plug_in()?;
    ensure!(machine.wait_for("state-mounted")?.text("device") == "vdb");
    machine.wait_for("healthy")?;
    Ok(())
}

#[test]
fn the_memory_of_the_initramfs_is_given_back() -> Result<()> {
    const PADDING: usize = 48 << 20;
    let kernel = Kernel::fetch(Series::Linux6_12)?;
    let initrd = Initrd::of(&kernel, &Keys::of("builder")?).make()?;
    let folder = tempfile::tempdir()?;
    let noise = "what an initramfs may hold\n".bytes().cycle().take(PADDING).collect::<Vec<_>>();
    let padded = initramfs::with_more(&initrd, "padding", &noise, folder.path())?;
    let boot = |initrd: &Path| -> Result<(Machine, Ext4)> {
        let disk = one_image()?;
        let vm = Vm::on(Board::Q35, &kernel).initrd(initrd).cmdline("quiet").disk(disk.disk());
        let mut machine = vm.boot()?;
        machine.wait_for("healthy")?;
        Ok((machine, disk))
    };
    let expected = available(&mut boot(&initrd)?.0)?.saturating_sub(PADDING as u64 / 8);
    let (mut machine, _disk) = boot(&padded)?;
    // The kernel frees the pages some time after the names are gone.
    let script = format!(
        "for second in $(seq 60); do \
             while read name kib unit; do \
                 test $name = MemAvailable: && test $kib -ge {} && exit 0; \
             done < /proc/meminfo; sleep 1; \
         done; exit 1",
        expected / 1024
    );
    let given_back = machine.try_run(&["/bin/sh", "-c", &script])?.status == 0;
    let now = available(&mut machine)?;
    ensure!(given_back, "{now} bytes are available, at least {expected} should be");
    Ok(())
}

/// Bytes that programs could take in the guest.
fn available(machine: &mut Machine) -> Result<u64> {
    let memory = machine.run(&["/bin/cat", "/proc/meminfo"])?;
    let line = memory.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).context("no MemAvailable")?;
    Ok(kib.parse::<u64>()? * 1024)
}

#[test]
fn a_machine_without_an_image_says_so_and_leaves_its_state_clean() -> Result<()> {
    let disk = State::new()?.disk()?;
    let settings = ["recovery=power-off", "recovery-delay=1s"];
    let mut machine = vm(&settings)?.disk(disk.disk()).boot()?;
    let alert = machine.wait_for("alert")?;
    ensure!(alert.text("cause").contains("no image is installed"), "{}", alert.line());
    ensure!(machine.wait_for("recovery")?.text("action") == "power-off");
    ensure!(machine.wait_for_end()? == End::PowerOff);
    disk.check()
}

#[test]
fn recovery_reboots_where_nothing_else_is_said() -> Result<()> {
    let disk = State::new()?.disk()?;
    let mut machine = vm(&["recovery-delay=1s"])?.disk(disk.disk()).ending_on_reset().boot()?;
    ensure!(machine.wait_for("recovery")?.text("action") == "reboot");
    ensure!(machine.wait_for_end()? == End::Reset);
    disk.check()
}

/// The watchdog is shorter than the time that the reason stands on the console.
#[test]
fn recovery_takes_its_time_and_stops_the_watchdog() -> Result<()> {
    let disk = State::new()?.disk()?;
    let settings = ["recovery=power-off", "recovery-delay=6s", "watchdog=2s"];
    let kernel = Kernel::fetch(Series::Linux6_12)?;
    let initrd = settings.iter().fold(Initrd::of(&kernel, &Keys::of("builder")?), |i, s| i.set(s));
    let initrd = initrd.module("i6300esb").make()?;
    let vm = Vm::on(Board::Q35, &kernel).initrd(&initrd).cmdline("quiet").watchdog();
    let mut machine = vm.disk(disk.disk()).ending_on_reset().boot()?;
    machine.wait_for("recovery")?;
    ensure!(machine.wait_for_end()? == End::PowerOff);
    Ok(())
}

/// The agent stands in for a person's shell: it answers at its port.
#[test]
fn recovery_of_an_unlocked_machine_may_be_a_shell() -> Result<()> {
    let disk = State::new()?.disk()?;
    let kernel = Kernel::fetch(Series::Linux6_12)?;
    let initrd = Initrd::of(&kernel, &Keys::of("builder")?).set("recovery-delay=1s");
    let initrd = initrd.set("lock=unlocked").set("recovery=shell").shell(&Binary::Agent.build()?);
    let vm = Vm::on(Board::Q35, &kernel).initrd(&initrd.make()?).cmdline("quiet");
    let mut machine = vm.disk(disk.disk()).boot()?;
    ensure!(machine.wait_for("recovery")?.text("action") == "shell");
    let mounts = machine.read("/proc/self/mounts", 0, 1 << 16)?;
    ensure!(
        !String::from_utf8(mounts)?.contains("/run/pintle/state"),
        "the state is still mounted"
    );
    Ok(())
}

#[test]
fn a_torn_superblock_is_mended_and_the_journal_kept() -> Result<()> {
    let disk = one_image_with_a_torn_superblock()?;
    the_state_is_repaired(&disk, |initrd| initrd)?;
    disk.check()
}

/// It stays marked as one that e2fsck should look at.
#[test]
fn a_torn_superblock_is_mended_without_e2fsck_too() -> Result<()> {
    let disk = one_image_with_a_torn_superblock()?;
    the_state_is_repaired(&disk, Initrd::without_e2fsck)?;
    disk.check_content()
}

/// What a write that stopped half-way leaves: the second half is of another time.
fn one_image_with_a_torn_superblock() -> Result<Ext4> {
    let disk = one_image_whose_journal_is_full()?;
    let file = std::fs::File::options().write(true).open(disk.path())?;
    file.write_all_at(&[0xa5; 16], SUPERBLOCK + 600)?;
    Ok(disk)
}

#[test]
fn a_lost_superblock_is_replaced_by_a_backup_and_the_journal_kept() -> Result<()> {
    let disk = one_image_whose_journal_is_full()?;
    let file = std::fs::File::options().write(true).open(disk.path())?;
    file.write_all_at(&[0; SUPERBLOCK_LEN], SUPERBLOCK)?;
    the_state_is_repaired(&disk, |initrd| initrd)?;
    disk.check()
}

#[test]
fn a_state_without_any_superblock_is_reported() -> Result<()> {
    let disk = one_image()?;
    let file = std::fs::File::options().write(true).open(disk.path())?;
    for group in 0..6 {
        file.write_all_at(&[0; SUPERBLOCK_LEN + 1024], group * (128 << 20))?;
    }
    let settings =
        ["state=/dev/vda", "recovery=power-off", "recovery-delay=1s", "state-timeout=5s"];
    let mut machine = vm(&settings)?.disk(disk.disk()).boot()?;
    let alert = machine.wait_for("alert")?;
    ensure!(alert.text("cause").contains("superblock"), "{}", alert.line());
    ensure!(machine.wait_for_end()? == End::PowerOff);
    Ok(())
}

#[test]
fn modules_for_another_kernel_are_an_alert() -> Result<()> {
    let image = ContainerImage::of(Base::Busybox, "1.0.0");
    let image = image.file("usr/lib/modules/5.10.0-old/modules.order", 0o644, "");
    let disk = State::new()?.with("1_1.0.0", &release(&image, 1)?)?.disk()?;
    let mut machine = vm(&[])?.disk(disk.disk()).boot()?;
    let alert = machine.wait_for("alert")?;
    ensure!(alert.text("subject") == "the image's modules", "{}", alert.line());
    ensure!(alert.text("cause").contains("5.10.0-old"), "{}", alert.line());
    machine.wait_for("healthy")?;
    Ok(())
}

#[test]
fn an_option_of_the_command_line_does_not_stop_a_boot() -> Result<()> {
    let disk = one_image()?;
    let kernel = Kernel::fetch(Series::Linux6_1)?;
    let initrd = Initrd::of(&kernel, &Keys::of("builder")?).set("lock=unlocked").set("verity=dm");
    let vm = Vm::on(Board::Q35, &kernel).initrd(&initrd.make()?).cmdline("quiet");
    // Linux 6.1 mounts no EROFS from a file.
    let vm = vm.cmdline("pintle.verity=fs pintle.entry=9_9.9 pintle.shell=stage1");
    let mut machine = vm.disk(disk.disk()).boot()?;
    machine.wait_for("healthy")?;
    for (event, words) in [("option-ignored", "9_9.9"), ("alert", "start the shell")] {
        let said = machine.reports().iter().filter(|report| report.event() == event);
        let lines = said.map(|report| report.line()).collect::<String>();
        ensure!(lines.contains(words), "{words}: {lines}");
    }
    Ok(())
}

#[test]
fn an_unlocked_machine_boots_what_its_command_line_names() -> Result<()> {
    let image = |version| ContainerImage::of(Base::Busybox, version);
    let disk = State::new()?
        .with("1_1.0.0", &release(&image("1.0.0"), 1)?)?
        .with("2_2.0.0", &release(&image("2.0.0"), 2)?)?
        .disk()?;
    let unlocked = vm(&["lock=unlocked"])?.disk(disk.disk());
    let mut machine = unlocked.cmdline("pintle.entry=1_1.0.0 pintle.etc=transient").boot()?;
    machine.wait_for("blessed")?;
    let root = machine.reports().iter().find(|report| report.event() == "root-mounted");
    ensure!(root.is_some_and(|report| report.text("entry") == "1_1.0.0"), "{root:?}");
    change(&mut machine)?;
    reboot(&mut machine)?;
    ensure!(machine.try_run(&["/bin/cat", IN_ETC])?.status != 0, "{IN_ETC} is still there");
    Ok(())
}

#[test]
fn a_service_is_stopped_with_what_it_requires() -> Result<()> {
    const SERVICES: &str = r#"
[service.below]
command = ["/bin/sh", "-c", "until test -e /run/fall; do sleep 1; done; exit 1"]
restart = "never"
[service.above]
command = ["/bin/sleep", "infinity"]
requires = ["below"]
"#;
    let image = ContainerImage::of(Base::Busybox, "1.0.0").service("two", SERVICES);
    let disk = State::new()?.with("1_1.0.0", &release(&image, 1)?)?.disk()?;
    let mut machine = vm(&[])?.disk(disk.disk()).boot()?;
    machine.wait_for("healthy")?;
    machine.run(&["/bin/touch", "/run/fall"])?;
    machine.wait_until("below has failed", |report| report.text("name") == "below")?;
    machine.wait_until("above is down", |report| {
        report.text("name") == "above" && report.text("state") == "down"
    })?;
    Ok(())
}

/// pintle is its initramfs and its updater; it says itself when it is well.
#[test]
fn systemd_runs_on_the_verified_root() -> Result<()> {
    const AGENT: &str = "[Service]\nExecStart=/usr/libexec/agent\n";
    const BLESS: &str = "[Unit]\nAfter=multi-user.target\n\
        [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/bin/pintlectl bless\n";
    const WANTS: &str = "[Unit]\nWants=agent.service bless.service\n";
    let image = ContainerImage::with_nothing(Base::Systemd, "1.0.0")
        .service("system", "[system]\ninit = \"/usr/lib/systemd/systemd\"\n")
        .file("usr/lib/systemd/system/agent.service", 0o644, AGENT)
        .file("usr/lib/systemd/system/bless.service", 0o644, BLESS)
        .file("usr/lib/systemd/system/multi-user.target.d/wants.conf", 0o644, WANTS);
    let disk = State::new()?.with("1_1.0.0+3-0", &release(&image, 1)?)?.disk()?;
    // Without udev nobody tells systemd that the serial console is there.
    let vm = vm(&[])?.cmdline("systemd.getty_auto=no").disk(disk.disk());
    let mut machine = vm.boot()?;
    machine.wait_for("root-mounted")?;
    let state = machine.try_run(&["/usr/bin/systemctl", "is-system-running", "--wait"])?;
    ensure!(state.stdout == b"running\n", "{:?}", String::from_utf8_lossy(&state.stdout));
    let listed = machine.run(&["/usr/bin/pintlectl", "list"])?;
    ensure!(listed.contains("1_1.0.0 ") && listed.contains("good"), "{listed}");
    machine.order(&["/usr/bin/systemctl", "poweroff"])?;
    ensure!(machine.wait_for_end()? == End::PowerOff);
    ensure!(disk.names_in("/images")? == ["1_1.0.0"]);
    disk.check()
}

fn one_image() -> Result<Ext4> {
    let release = release(&ContainerImage::of(Base::Busybox, "1.0.0"), 1)?;
    State::new()?.with("1_1.0.0", &release)?.disk()
}

/// What was synced last stands in the journal alone.
fn one_image_whose_journal_is_full() -> Result<Ext4> {
    let disk = one_image()?;
    let mut machine = vm(&[])?.disk(disk.disk()).boot()?;
    machine.wait_for("blessed")?;
    change(&mut machine)?;
    machine.run(&["/bin/sync"])?;
    machine.cut_power()?;
    Ok(disk)
}

fn the_state_is_repaired(disk: &Ext4, initrd: impl Fn(Initrd) -> Initrd) -> Result<()> {
    let kernel = Kernel::fetch(Series::Linux6_12)?;
    let initrd = initrd(Initrd::of(&kernel, &Keys::of("builder")?).set("state=/dev/vda")).make()?;
    let vm = Vm::on(Board::Q35, &kernel).initrd(&initrd).cmdline("quiet").disk(disk.disk());
    let mut machine = vm.boot()?;
    let alert = machine.wait_for("alert")?;
    ensure!(alert.text("cause").contains("has been repaired"), "{}", alert.line());
    machine.wait_for("blessed")?;
    ensure!(machine.run(&["/bin/cat", IN_ETC, IN_VAR])? == "mine\nmine\n");
    machine.order(&["/bin/pintlectl", "poweroff"])?;
    ensure!(machine.wait_for_end()? == End::PowerOff);
    Ok(())
}

/// Adds a file to `/etc` and to `/var`, and replaces one of the image.
fn change(machine: &mut Machine) -> Result<()> {
    let script =
        format!("echo mine > {IN_ETC} && echo mine > {IN_VAR} && echo nobody-knows > /etc/group");
    machine.run(&["/bin/sh", "-c", &script]).map(drop)
}

fn reboot(machine: &mut Machine) -> Result<()> {
    machine.order(&["/bin/pintlectl", "reboot"])?;
    machine.wait_for("started")?;
    machine.wait_for("healthy").map(drop)
}

fn release(image: &ContainerImage, sequence: u64) -> Result<Release> {
    Release::build(image, sequence, &Keys::of("builder")?)
}

fn vm(settings: &[&str]) -> Result<Vm> {
    let kernel = Kernel::fetch(Series::Linux6_12)?;
    let initrd = Initrd::of(&kernel, &Keys::of("builder")?);
    let initrd = settings.iter().fold(initrd, |initrd, setting| initrd.set(setting)).make()?;
    Ok(Vm::on(Board::Q35, &kernel).initrd(&initrd).cmdline("quiet"))
}
