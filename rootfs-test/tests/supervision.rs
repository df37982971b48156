//! Services start in order, are restarted, held in their cgroups, and stopped in reverse order.

use anyhow::{Result, ensure};
use pintle_rootfs_test::{
    Base, Board, ContainerImage, End, Ext4, Initrd, Kernel, Keys, Machine, Release, Series, State,
    Vm,
};

const SERVICES: &str = r#"
[service.prepare]
type = "oneshot"
command = ["/bin/sh", "-c", "sleep 1; echo prepared > /run/prepared"]

[service.web]
command = ["/bin/sh", "-c", """
    test -e /run/prepared || exit 1
    setsid sleep infinity &
    echo $! > /tmp/stray
    echo $$ > /tmp/main
    exec sleep infinity"""]
requires = ["prepare"]
essential = true
user = "nobody"
memory-max = "32MiB"
pids-max = 20
oom-score-adjust = 500
environment = { GREETING = "hello" }
working-directory = "/tmp"

[service.after]
command = ["/bin/sleep", "infinity"]
after = ["web"]
essential = true
"#;

#[test]
fn services_start_in_order_and_stop_in_reverse() -> Result<()> {
    let disk = disk(&ContainerImage::of(Base::Busybox, "1.0.0").service("three", SERVICES))?;
    let mut machine = boot(&disk)?;
    machine.wait_for("healthy")?;
    machine.order(&["/bin/pintlectl", "poweroff"])?;
    ensure!(machine.wait_for_end()? == End::PowerOff);
    in_order(&machine, &["prepare done", "web starting", "web up", "after starting", "after up"])?;
    in_order(&machine, &["after down", "web stopping", "web down"])?;
    disk.check()
}

#[test]
fn a_service_is_held_in_its_cgroup_and_restarted_whole() -> Result<()> {
    let disk = disk(&ContainerImage::of(Base::Busybox, "1.0.0").service("three", SERVICES))?;
    let mut machine = boot(&disk)?;
    machine.wait_for("healthy")?;
    let main = pid_in(&mut machine, "/tmp/main")?;
    let stray = pid_in(&mut machine, "/tmp/stray")?;
    let cgroup = machine.run(&["/bin/cat", &format!("/proc/{stray}/cgroup")])?;
    ensure!(cgroup.trim() == "0::/pintle/web", "{cgroup}");
    for (file, value) in [("memory.max", "33554432"), ("pids.max", "20")] {
        let found = machine.run(&["/bin/cat", &format!("/sys/fs/cgroup/pintle/web/{file}")])?;
        ensure!(found.trim() == value, "{file}: {found}");
    }
    let status = machine.run(&["/bin/cat", &format!("/proc/{main}/status")])?;
    ensure!(status.contains("Uid:\t65534\t65534\t65534\t65534"), "{status}");
    ensure!(status.contains("SigBlk:\t0000000000000000"), "{status}");
    ensure!(status.contains("SigIgn:\t0000000000000000"), "{status}");
    let environment = machine.run(&["/bin/cat", &format!("/proc/{main}/environ")])?;
    ensure!(environment.contains("GREETING=hello"), "{environment:?}");
    let directory = machine.run(&["/bin/readlink", &format!("/proc/{main}/cwd")])?;
    ensure!(directory.trim() == "/tmp", "{directory}");
    let adjust = machine.run(&["/bin/cat", &format!("/proc/{main}/oom_score_adj")])?;
    ensure!(adjust.trim() == "500", "{adjust}");

    machine.run(&["/bin/rm", "/tmp/main"])?;
    machine.run(&["/bin/kill", "-9", &main])?;
    let ended = machine.wait_until("web's end", |report| {
        report.event() == "ended" && report.text("name") == "web"
    })?;
    ensure!(ended.number("signal") == 9, "{}", ended.line());
    machine.wait_until("web is up again", |report| {
        report.text("name") == "web" && report.text("state") == "up"
    })?;
    ensure!(
        machine.try_run(&["/bin/kill", "-0", &stray])?.status != 0,
        "a process was left behind"
    );
    ensure!(pid_in(&mut machine, "/tmp/main")? != main);
    Ok(())
}

/// Where a cgroup has controllers for cgroups in it, no process may be in it itself.
#[test]
fn a_service_that_made_cgroups_of_its_own_can_be_restarted() -> Result<()> {
    const NESTED: &str = r#"
[service.nested]
command = ["/bin/sh", "-c", """
    cd /sys/fs/cgroup/pintle/nested && mkdir -p inner/innermost && echo 0 > inner/cgroup.procs &&
    echo +pids > cgroup.subtree_control && echo $$ > /run/nested && exec sleep infinity"""]
restart = "always"
"#;
    let disk = disk(&ContainerImage::of(Base::Busybox, "1.0.0").service("nested", NESTED))?;
    let mut machine = boot(&disk)?;
    machine.wait_for("healthy")?;
    for _ in 0..2 {
        let main = pid_in(&mut machine, "/run/nested")?;
        machine.run(&["/bin/rm", "/run/nested"])?;
        machine.run(&["/bin/kill", "-9", &main])?;
        machine.wait_until("nested is up again", |report| {
            report.text("name") == "nested" && report.text("state") == "up"
        })?;
    }
    pid_in(&mut machine, "/run/nested").map(drop)
}

/// The kernel lets ten lines of one file into its log in five seconds, and drops the others.
#[test]
fn the_kernel_log_has_every_line_of_a_boot_with_many_services() -> Result<()> {
    let names: Vec<_> = (0..30).map(|number| format!("n{number}")).collect();
    let service = |name: &String| {
        format!("[service.{name}]\ncommand = [\"/bin/sleep\", \"infinity\"]\nessential = true\n")
    };
    let services = names.iter().map(service).collect::<String>();
    let disk = disk(&ContainerImage::of(Base::Busybox, "1.0.0").service("many", &services))?;
    let mut machine = boot(&disk)?;
    machine.wait_for("healthy")?;
    let log = machine.run(&["/bin/dmesg"])?;
    for name in names {
        ensure!(log.contains(&format!("pintle: service {name} is up\n")), "{name}: {log}");
    }
    Ok(())
}

#[test]
fn what_only_comes_after_something_that_never_starts_is_started() -> Result<()> {
    const SERVICES: &str = r#"
[service.broken]
type = "oneshot"
command = ["/bin/false"]
restart = "never"
[service.above]
command = ["/bin/sleep", "infinity"]
requires = ["broken"]
[service.off]
command = ["/bin/sleep", "infinity"]
enabled = false
[service.last]
command = ["/bin/sleep", "infinity"]
wants = ["above"]
after = ["off"]
essential = true
"#;
    let disk = disk(&ContainerImage::of(Base::Busybox, "1.0.0").service("four", SERVICES))?;
    let mut machine = boot(&disk)?;
    machine.wait_for("blessed")?;
    in_order(&machine, &["broken failed", "last up"])
}

/// Nobody here wrote this client.
#[test]
fn systemd_notify_tells_that_a_service_is_ready() -> Result<()> {
    const NOTIFIER: &str = r#"
[service.notifier]
type = "notify"
command = ["/bin/sh", "-c", "until test -e /run/go; do sleep 1; done; systemd-notify --ready; exec sleep infinity"]
essential = true
"#;
    let image = ContainerImage::of(Base::Systemd, "1.0.0").service("notifier", NOTIFIER);
    let disk = disk(&image)?;
    let mut machine = boot(&disk)?;
    machine.wait_until("notifier starts", |report| report.text("name") == "notifier")?;
    machine.run(&["/bin/touch", "/run/go"])?;
    machine.wait_until("notifier is up", |report| {
        report.text("name") == "notifier" && report.text("state") == "up"
    })?;
    machine.wait_for("blessed")?;
    Ok(())
}

/// The services' changes stand in the report in this order, others between them.
fn in_order(machine: &Machine, wanted: &[&str]) -> Result<()> {
    let services = machine.reports().iter().filter(|report| report.event() == "service");
    let mut changes = services.map(|it| format!("{} {}", it.text("name"), it.text("state")));
    for wanted in wanted {
        ensure!(changes.any(|change| change == *wanted), "{wanted} is missing, or too early");
    }
    Ok(())
}

/// The service writes it after its exec, and that is what "up" means.
fn pid_in(machine: &mut Machine, file: &str) -> Result<String> {
    let script = format!("until test -s {file}; do sleep 1; done; cat {file}");
    Ok(machine.run(&["/bin/sh", "-c", &script])?.trim().to_owned())
}

fn disk(image: &ContainerImage) -> Result<Ext4> {
    let release = Release::build(image, 1, &Keys::of("builder")?)?;
    State::new()?.with("1_1.0.0+3-0", &release)?.disk()
}

fn boot(disk: &Ext4) -> Result<Machine> {
    let kernel = Kernel::fetch(Series::Linux6_12)?;
    let initrd = Initrd::of(&kernel, &Keys::of("builder")?).make()?;
    Vm::on(Board::Q35, &kernel).initrd(&initrd).cmdline("quiet").disk(disk.disk()).boot()
}
