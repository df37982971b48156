//! Whatever a new image does, the machine comes back to one that works.

use anyhow::{Result, ensure};
use pintle_rootfs_test::cargo::Binary;
use pintle_rootfs_test::{
    Base, Board, ContainerImage, Initrd, Kernel, Keys, Machine, Release, Report, Series, State, Vm,
};

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
    let agent = std::fs::read(Binary::Agent.build()?)?;
    let image =
        ContainerImage::with_nothing(Base::Busybox, "3.0.0").service("system", "[system]\n");
    falls_back(&image.file("usr/lib/pintle/pintle-init", 0o755, agent))
}

/// Two good entries and the image on trial above them.
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
    let chosen: Vec<_> = chosen(&machine);
    ensure!(chosen == ["3_3.0.0+1-1", "3_3.0.0+0-2", "2_2.0.0"], "{chosen:?}");
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
