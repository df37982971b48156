//! Whatever a new image does, the machine comes back to one that works.

use std::fs;

use anyhow::{Context, Result, ensure};
use pintle_rootfs_test::cargo::Binary;
use pintle_rootfs_test::{
    Base, Board, ContainerImage, Ext4, Initrd, Kernel, Keys, Machine, Release, Report, Series,
    State, Vm,
};
use pintle_verify::peek;

/// A service that never says that it is ready.
const NEVER_READY: &str = r#"
[service.never]
type = "notify"
command = ["/bin/sleep", "1000"]
essential = true
"#;

/// Another init, which ends at once: the kernel panics.
const CRASH: &str = r#"
[system]
init = "/bin/false"
"#;

#[test]
fn an_image_that_never_becomes_healthy_has_its_tries_and_no_more() -> Result<()> {
    let image = ContainerImage::of(Base::Busybox, "3.0.0").service("never", NEVER_READY);
    let image = image.service("system", "[system]\nhealth-timeout = \"2s\"\n");
    falls_back(&image)
}

#[test]
fn an_image_whose_init_crashes_has_its_tries_and_no_more() -> Result<()> {
    let image = ContainerImage::with_nothing(Base::Busybox, "3.0.0").service("system", CRASH);
    falls_back(&image)
}

#[test]
fn an_image_that_hangs_is_reset_by_the_watchdog_and_has_its_tries_and_no_more() -> Result<()> {
    // The agent serves its port, and knows nothing of a watchdog.
    let agent = fs::read(Binary::Agent.build()?)?;
    let image =
        ContainerImage::with_nothing(Base::Busybox, "3.0.0").service("system", "[system]\n");
    falls_back(&image.file("usr/lib/pintle/pintle-init", 0o755, agent))
}

/// Two good entries, and the image on trial above them.
fn falls_back(image: &ContainerImage) -> Result<()> {
    let keys = Keys::of("builder")?;
    let release = |version, sequence| {
        Release::build(&ContainerImage::of(Base::Busybox, version), sequence, &keys)
    };
    let state = State::new()?
        .with("1_1.0.0", &release("1.0.0", 1)?)?
        .with("2_2.0.0", &release("2.0.0", 2)?)?
        .with("3_3.0.0+2-0", &Release::build(image, 3, &keys)?)?
        .disk()?;
    let mut machine = vm(&keys, &["watchdog=4s", "panic-timeout=1s"])?.disk(state.disk()).boot()?;
    machine.wait_for("healthy")?;
    let chosen = chosen(&machine);
    ensure!(chosen == ["3_3.0.0+1-1", "3_3.0.0+0-2", "2_2.0.0"], "{chosen:?}");
    Ok(())
}

/// Runs until it is told to break, which it then stays.
const BREAKABLE: &str = r#"
[service.breakable]
command = ["/bin/sh", "-c", "until test -e /var/broken; do sleep 1; done; exit 1"]
essential = true
start-limit-burst = 2
"#;

#[test]
fn a_service_that_ends_right_after_its_start_makes_no_image_good() -> Result<()> {
    const ENDS_AT_ONCE: &str = r#"
[service.ends]
command = ["/bin/sh", "-c", "exit 0"]
essential = true
"#;
    falls_back(&ContainerImage::of(Base::Busybox, "3.0.0").service("ends", ENDS_AT_ONCE))
}

#[test]
fn a_blessed_image_that_crash_loops_later_falls_back_and_is_remembered() -> Result<()> {
    let keys = Keys::of("builder")?;
    let image = ContainerImage::of(Base::Busybox, "2.0.0").service("breakable", BREAKABLE);
    let broken = Release::build(&image, 2, &keys)?;
    let state = two_images(&image, &keys)?;
    let mut machine = vm(&keys, &[])?.disk(state.disk()).boot()?;
    machine.wait_for("blessed")?;
    machine.run(&["/bin/touch", "/var/broken"])?;
    machine.wait_for("entry-demoted")?;
    falls_from_2_to_1(&mut machine, &["2_2.0.0", "2_2.0.0+2-1", "2_2.0.0+1-2", "2_2.0.0+0-3"])?;
    machine.wait_for("bad-remembered")?;
    let image = peek(&fs::read(broken.folder().join("seal"))?)?.root_hash.hex();
    machine.run(&["/bin/test", "-e", &format!("/run/pintle/state/trust/bad-2-{image}")])?;
    Ok(())
}

/// What a fallen-back machine still has on its disk may be rotten, and is read by who backs it up.
#[test]
fn a_rotten_image_that_does_not_run_is_nobodys_fault() -> Result<()> {
    let keys = Keys::of("builder")?;
    let state = two_images(&ContainerImage::of(Base::Busybox, "2.0.0"), &keys)?;
    let mut machine = vm(&keys, &["verity=fs"])?.disk(state.disk()).boot()?;
    machine.wait_for("blessed")?;
    machine.order(&["/bin/pintlectl", "poweroff"])?;
    machine.wait_for_end()?;
    drop(machine);
    // Sealed by its first boot, and refused at the next.
    state.flip("/images/2_2.0.0/root.img", 1024)?;
    let mut machine = vm(&keys, &["verity=fs"])?.disk(state.disk()).boot()?;
    machine.wait_for("blessed")?;
    let read = machine.try_run(&["/bin/cat", "/run/pintle/state/images/2_2.0.0/root.img"])?;
    ensure!(read.status != 0, "a changed block was read");
    // What PID 1 had to say of it, it has said before it reports this.
    machine.order(&["/bin/pintlectl", "poweroff"])?;
    machine.wait_for_end()?;
    let blamed = texts(machine.reports(), "corruption", "source").collect::<Vec<_>>();
    ensure!(blamed.is_empty(), "{blamed:?}");
    ensure!(state.names_in("/images")? == ["1_1.0.0", "2_2.0.0"]);
    Ok(())
}

/// The processor goes on, and PID 1 does not: a cgroup holds it fast.
const FREEZE: &str = "mkdir /sys/fs/cgroup/ice && echo 1 > /sys/fs/cgroup/ice/cgroup.procs && \
                      echo 1 > /sys/fs/cgroup/ice/cgroup.freeze";

#[test]
fn a_blessed_image_that_hangs_each_time_falls_back() -> Result<()> {
    let keys = Keys::of("builder")?;
    let state = two_images(&ContainerImage::of(Base::Busybox, "2.0.0"), &keys)?;
    let mut machine = vm(&keys, &["watchdog=2s"])?.disk(state.disk()).boot()?;
    for _ in 0..3 {
        machine.wait_for("blessed")?;
        machine.order(&["/bin/sh", "-c", FREEZE])?;
        let demoted = machine.wait_for("entry-demoted")?;
        ensure!(demoted.text("reason").contains("watchdog"), "{}", demoted.line());
    }
    falls_from_2_to_1(&mut machine, &["2_2.0.0", "2_2.0.0+2-1", "2_2.0.0+2-1"])
}

#[test]
fn a_blessed_image_that_rots_falls_back() -> Result<()> {
    const READER: &str = r#"
[service.reader]
command = ["/bin/sh", "-c", "cat /usr/share/rotten > /dev/null; exec sleep infinity"]
essential = true
"#;
    let keys = Keys::of("builder")?;
    let content = "what is read at each start\n".repeat(4096);
    let image = ContainerImage::of(Base::Busybox, "2.0.0").service("reader", READER);
    let image = image.file("usr/share/rotten", 0o644, &content);
    let release = Release::build(&image, 2, &keys)?;
    let state = two_images(&image, &keys)?;
    let mut machine = vm(&keys, &["verity=dm"])?.disk(state.disk()).boot()?;
    machine.wait_for("blessed")?;
    let root = fs::read(release.folder().join("root.img"))?;
    let mut blocks = root.chunks(4096).zip((0_u64..).step_by(4096));
    let start = blocks.find(|(block, _)| content.as_bytes().starts_with(&block[..64]));
    let (_, start) = start.context("the file is not in the image")?;
    state.flip("/images/2_2.0.0/root.img", start + 40_960)?;
    machine.reset()?;
    falls_from_2_to_1(
        &mut machine,
        &["2_2.0.0", "2_2.0.0", "2_2.0.0+2-1", "2_2.0.0+1-2", "2_2.0.0+0-3"],
    )
}

/// A good one, and `second` above it.
fn two_images(second: &ContainerImage, keys: &Keys) -> Result<Ext4> {
    let first = Release::build(&ContainerImage::of(Base::Busybox, "1.0.0"), 1, keys)?;
    let second = Release::build(second, 2, keys)?;
    State::new()?.with("1_1.0.0", &first)?.with("2_2.0.0", &second)?.disk()
}

/// Waits for entry 1 to be blessed, after those entries were booted.
fn falls_from_2_to_1(machine: &mut Machine, before: &[&str]) -> Result<()> {
    machine.wait_until("1.0.0 blessed", |report| {
        report.event() == "blessed" && report.text("entry") == "1_1.0.0"
    })?;
    let chosen = chosen(machine);
    let (last, others) = chosen.split_last().context("nothing was booted")?;
    ensure!(last == "1_1.0.0" && others == before, "{chosen:?}");
    Ok(())
}

#[test]
fn a_trial_is_not_booted_when_its_try_cannot_be_counted() -> Result<()> {
    let keys = Keys::of("builder")?;
    let release = |version, sequence| {
        Release::build(&ContainerImage::of(Base::Busybox, version), sequence, &keys)
    };
    let state = State::new()?
        .with("1_1.0.0", &release("1.0.0", 1)?)?
        .with("2_2.0.0+3-0", &release("2.0.0", 2)?)?
        .disk()?;
    state.make_immutable("/images")?;
    let mut machine = vm(&keys, &[])?.disk(state.disk()).boot()?;
    let refused = machine.wait_for("entry-refused")?;
    ensure!(refused.text("entry") == "2_2.0.0+3-0", "{}", refused.line());
    ensure!(refused.text("reason").contains("cannot count"), "{}", refused.line());
    machine.wait_for("healthy")?;
    ensure!(chosen(&machine) == ["1_1.0.0"], "{:?}", chosen(&machine));
    Ok(())
}

#[test]
fn a_good_entry_that_keeps_dying_is_put_on_trial() -> Result<()> {
    let keys = Keys::of("builder")?;
    let release = Release::build(&ContainerImage::of(Base::Busybox, "1.0.0"), 1, &keys)?;
    let state = State::new()?.with("1_1.0.0", &release)?.disk()?;
    let mut machine = vm(&keys, &[])?.disk(state.disk()).boot()?;
    for _ in 0..3 {
        machine.wait_for("blessed")?;
        machine.reset()?;
    }
    let demoted = machine.wait_for("entry-demoted")?;
    ensure!(demoted.text("entry") == "1_1.0.0", "{}", demoted.line());
    let tried = machine.wait_for("entry-chosen")?;
    ensure!(tried.text("entry") == "1_1.0.0+2-1", "{}", tried.line());
    machine.wait_for("blessed")?;
    Ok(())
}

#[test]
fn a_locked_machine_takes_nothing_weaker_from_its_command_line() -> Result<()> {
    const WEAKENING: [&str; 7] = [
        "entry=1_1.0.0",
        "state=/dev/vdz",
        "etc=transient",
        "recovery=shell",
        "corruption=alert",
        "watchdog=off",
        "shell=stage1",
    ];
    let keys = Keys::of("builder")?;
    let release = |version, sequence| {
        Release::build(&ContainerImage::of(Base::Busybox, version), sequence, &keys)
    };
    let state = State::new()?
        .with("1_1.0.0", &release("1.0.0", 1)?)?
        .with("2_2.0.0", &release("2.0.0", 2)?)?
        .disk()?;
    let options: Vec<_> = WEAKENING.iter().map(|option| format!("pintle.{option}")).collect();
    let options = options.join(" ") + " pintle.verity=none pintle.nonsense";
    let mut machine = vm(&keys, &[])?.cmdline(&options).disk(state.disk()).boot()?;
    machine.wait_for("healthy")?;
    ensure!(chosen(&machine) == ["2_2.0.0"], "{:?}", chosen(&machine));
    let ignored: Vec<_> = texts(machine.reports(), "option-ignored", "reason").collect();
    for option in WEAKENING.map(|option| option.split('=').next().unwrap_or(option)) {
        let said = format!("pintle.{option}: it would weaken a locked machine");
        ensure!(ignored.iter().any(|reason| reason.contains(&said)), "{option}: {ignored:?}");
    }
    let watchdog = machine.reports().iter().find(|report| report.event() == "watchdog");
    ensure!(watchdog.is_some_and(|report| report.number("seconds") == 30), "{watchdog:?}");
    let mounts = machine.run(&["/bin/cat", "/proc/self/mounts"])?;
    ensure!(mounts.contains("upperdir=/run/pintle/state/data/etc/"), "{mounts}");
    for wrong in ["pintle.verity: found \"none\"", "pintle.nonsense: there is no such option"] {
        ensure!(ignored.iter().any(|reason| reason.contains(wrong)), "{wrong}: {ignored:?}");
    }
    Ok(())
}

fn vm(keys: &Keys, settings: &[&str]) -> Result<Vm> {
    let kernel = Kernel::fetch(Series::Linux6_12)?;
    let initrd = Initrd::of(&kernel, keys).module("i6300esb");
    let initrd = settings.iter().fold(initrd, |initrd, setting| initrd.set(setting)).make()?;
    Ok(Vm::on(Board::Q35, &kernel).initrd(&initrd).cmdline("quiet").watchdog())
}

/// The entries that were chosen, in order; those refused before their try was counted are not among them.
fn chosen(machine: &Machine) -> Vec<String> {
    texts(machine.reports(), "entry-chosen", "entry").collect()
}

fn texts<'a>(
    reports: &'a [Report],
    event: &'a str,
    key: &'a str,
) -> impl Iterator<Item = String> + 'a {
    reports
        .iter()
        .filter(move |report| report.event() == event)
        .map(move |r| r.text(key).to_owned())
}
