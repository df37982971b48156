//! A guest that runs as `/init` and takes this crate through a whole boot and its end.
//!
//! Reads `/modules` (a line a module: name, path, needed positions, aliases) and the kernel command
//! line: `guest.way=dm|fs`, `guest.root=<root hash>`, `guest.device=LABEL=...`. Prints one line a
//! step on the console, the last one being `guest: end`.

use pintle_mount::devices::{self, DeviceSpec};
use pintle_mount::modules::{Loader, Module};
use pintle_mount::{Root, Way, base, map_and_mount, overlay, state, switch_root, teardown};
use pintle_sys::cgroup::{Cgroup, Population};
use pintle_sys::spawn::{Program, StringArray};
use pintle_sys::uevent::Socket;
use pintle_verify::{
    Architecture, Digest, Expect, KeySet, Salt, Seal, SigningKey, Unverified, Verified,
};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, open};
use std::error::Error;
use std::ffi::CString;
use std::path::Path;
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const STATE: &str = "/run/pintle/state";

fn main() {
    let outcome = boot();
    match outcome {
        Ok(()) => println!("guest: end"),
        Err(error) => println!("guest: failed: {error}"),
    }
    rustix::system::reboot(rustix::system::RebootCommand::PowerOff).unwrap();
}

fn boot() -> Result<()> {
    base::mount_first()?;
    let cmdline = std::fs::read_to_string("/proc/cmdline")?;
    let option = |name: &str| {
        let prefix = format!("guest.{name}=");
        cmdline.split_whitespace().find_map(|word| word.strip_prefix(&prefix)).unwrap_or("")
    };
    let device = option("device");
    let mut clock = Instant::now();
    let mut step = |what: &str| {
        println!("guest: {what} ({} us)", clock.elapsed().as_micros());
        clock = Instant::now();
    };

    let table = Table::read()?;
    let events = Socket::bind()?;
    let mut modules = Loader::new(table.modules());
    modules.load_for_present();
    step("hardware modules");
    let wanted = match device.split_once('=') {
        Some(("LABEL", label)) => DeviceSpec::Label(label),
        Some(("UUID", uuid)) => DeviceSpec::Uuid(uuid),
        Some(("PARTLABEL", label)) => DeviceSpec::PartLabel(label),
        Some(("PARTUUID", uuid)) => DeviceSpec::PartUuid(uuid),
        _ => DeviceSpec::Path(Path::new(device)),
    };
    let disk = devices::wait(wanted, Duration::from_secs(5), &mut modules, &events)?;
    step(&format!("device {}", disk.path().display()));
    std::fs::create_dir_all(STATE)?;
    modules.load_named("ext4");
    modules.load_named("crc32c_generic");
    step("ext4");
    let mounted = state::mount(&disk, Path::new(STATE), &mut || ())?;
    step(&format!("state {mounted:?}"));

    let way = if option("way") == "fs" { Way::Fs } else { Way::Dm };
    let wanted: &[&str] = match way {
        Way::Dm => &["loop", "dm_verity", "erofs", "overlay"],
        Way::Fs => &["erofs", "overlay"],
    };
    for name in wanted {
        modules.load_named(name);
        step(name);
    }
    let seal = seal(format!("sha256:{}", option("root")).parse()?)?;
    let (image, tree) = (file("root.img")?, file("root.tree")?);
    step("seal");
    std::fs::create_dir_all("/sysroot")?;
    if option("twice") == "1" {
        let (image, tree) = (image.try_clone()?, tree.try_clone()?);
        let root = map_and_mount(image, tree, &seal, way, Path::new("/sysroot"))?;
        step("first root");
        root.unmount(Path::new("/sysroot"))?;
        step("no root");
    }
    let root = map_and_mount(image, tree, &seal, way, Path::new("/sysroot"))
        .map_err(|error| format!("{error:?} / {error}"))?;
    step(&format!("root {root:?}"));
    std::fs::create_dir_all("/run/pintle/state/data")?;
    overlay::lay_over(Path::new("/sysroot/etc"), Path::new("/run/pintle/state/data/etc"))?;
    overlay::bind(Path::new("/run/pintle/state/data/var"), Path::new("/sysroot/var"))?;
    step("overlays");
    let before = free_kib()?;
    let old = open("/", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    switch_root(Path::new("/sysroot"))?;
    let names: Vec<_> = rustix::fs::Dir::read_from(&old)?
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    println!("guest: old root has {names:?}");
    drop(old);
    step("switch_root");
    println!("guest: freed {} KiB of {before}", free_kib()? as i64 - before as i64);
    base::mount_rest()?;
    step("cgroups");
    println!("guest: modules failed: {:?}", modules.failures());
    drop(modules);

    let etc = std::fs::read_to_string("/etc/boots").unwrap_or_default() + "x";
    std::fs::write("/etc/boots", &etc)?;
    std::fs::write("/var/boots", &etc)?;
    println!("guest: boots {}", etc.len());
    if option("watchdog") == "1" {
        let watchdog = pintle_sys::watchdog::Watchdog::open()?;
        println!("guest: watchdog timeout {}", watchdog.set_timeout(20)?);
        println!("guest: watchdog last reset {:?}", watchdog.last_reset()?);
        watchdog.keep_alive()?;
        watchdog.disarm()?;
        step("watchdog");
    }
    service()?;
    step("service");
    read_all()?;
    step("read all");
    while let Ok(pintle_sys::uevent::Received::Event(event)) = events.receive(&mut [0; 8192]) {
        if let Some(corruption) = pintle_mount::corruption::Corruption::of_event(&event) {
            println!("guest: corruption {corruption}");
        }
    }
    print!("{}", std::fs::read_to_string("/proc/self/mountinfo")?);
    println!("guest: free since switch_root {} KiB", free_kib()? as i64 - before as i64);
    step("report");

    teardown::leave_root()?;
    step("leave root");
    let start = Instant::now();
    let mut times = Vec::new();
    let mut feed = || times.push(start.elapsed().as_micros());
    let leftovers = teardown::take_down(Duration::from_secs(10), &mut feed);
    println!("guest: steps ended at {times:?} us");
    step("take down");
    println!("guest: leftovers {leftovers:?}");
    print!("{}", std::fs::read_to_string("/proc/self/mountinfo")?);
    let loops = std::fs::read_dir("/sys/block")?
        .flatten()
        .filter(|entry| entry.path().join("loop").exists())
        .count();
    println!("guest: loops {loops}");
    if matches!(root, Root::Dm { .. }) {
        let found = pintle_sys::dm::Control::open()?.find("pintle-root")?;
        println!("guest: mapped {found:?}");
    }
    Ok(())
}

fn service() -> Result<()> {
    let parent = open("/sys/fs/cgroup", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let cgroup = Cgroup::create(parent.as_fd(), c"test")?;
    let out = open("/dev/console", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    let words =
        ["sh", "-c", "echo service: $(cat /proc/self/cgroup) pid $$; sleep 1000 & sleep 1000"];
    let words = words.map(|word| CString::new(word).unwrap()).to_vec();
    let (arguments, environment) =
        (StringArray::new(words), StringArray::new(vec![c"PATH=/bin".to_owned()]));
    let descriptors = [out.as_fd(); 3];
    let program = Program {
        descriptors: &descriptors,
        cgroup: Some(cgroup.as_fd()),
        oom_score_adjust: Some(-100),
        ..Program::new(c"/bin/sh", &arguments, &environment)
    };
    let child = program.start()?;
    let early = child.wait(Some(Duration::from_millis(300)))?;
    println!("guest: service wait {early:?}");
    if early.is_some() {
        return Err(format!("service: {:?}", child.exec_outcome()?).into());
    }
    println!("guest: service exec {:?} {:?}", child.exec_outcome()?, cgroup.population()?);
    cgroup.kill()?;
    println!("guest: service end {:?}", child.wait(None)?);
    let start = Instant::now();
    while cgroup.population()? == Population::Populated {
        let mut changed = [rustix::event::PollFd::from_borrowed_fd(
            cgroup.events(),
            rustix::event::PollFlags::PRI,
        )];
        rustix::event::poll(&mut changed, None)?;
    }
    println!("guest: service empty after {} us", start.elapsed().as_micros());
    drop(cgroup);
    Cgroup::remove(parent.as_fd(), c"test")?;
    Ok(())
}

/// Reads every file of the root.
fn read_all() -> Result<()> {
    let (mut good, mut bad) = (0, Vec::new());
    for directory in ["/bin", "/usr", "/usr/big"] {
        for entry in std::fs::read_dir(directory)?.flatten() {
            match std::fs::read(entry.path()) {
                Ok(_) => good += 1,
                Err(error) if error.kind() == std::io::ErrorKind::IsADirectory => {}
                Err(error) => bad.push(format!("{}: {error}", entry.path().display())),
            }
        }
    }
    println!("guest: files good {good} bad {bad:?}");
    Ok(())
}

fn free_kib() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemFree:")).ok_or("no MemFree")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

fn file(name: &str) -> Result<OwnedFd> {
    let path = format!("{STATE}/images/1/{name}");
    Ok(open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

fn seal(root_hash: Digest) -> Result<Verified<Seal>> {
    let key = SigningKey::generate(&[7; 32]);
    let id = "guest".parse()?;
    let seal = Seal {
        salt: Salt::of_image_id(&id),
        image_id: id,
        architecture: Architecture::running(),
        version: "1".parse()?,
        sequence: 1,
        floor: 0,
        created: 0,
        best_before: None,
        rollout: "100".parse()?,
        image_size: std::fs::metadata(format!("{STATE}/images/1/root.img"))?.len(),
        root_hash,
        source: None,
        kernel: None,
        next_keys: None,
    };
    let keys = KeySet::new(vec![key.public()], 1)?;
    let bytes = seal.sign(&[key])?;
    let expect = Expect { image_id: None, architecture: None, floor: 0 };
    Ok(keys.verify(Unverified(&bytes), &expect)?)
}

struct Table(Vec<Row>);

struct Row {
    name: String,
    path: String,
    depends: Vec<u16>,
    aliases: Vec<String>,
}

impl Table {
    fn read() -> Result<Table> {
        let text = std::fs::read_to_string("/modules")?;
        let row = |line: &str| {
            let mut fields = line.split('\t');
            let mut next = || fields.next().unwrap_or("").to_owned();
            let (name, path, depends, aliases) = (next(), next(), next(), next());
            let depends = depends.split(',').filter_map(|d| d.parse().ok()).collect();
            Row {
                name,
                path,
                depends,
                aliases: aliases.split(' ').filter(|a| !a.is_empty()).map(str::to_owned).collect(),
            }
        };
        Ok(Table(text.lines().map(row).collect()))
    }

    fn modules(&self) -> Vec<Module<'_>> {
        self.0
            .iter()
            .map(|row| Module {
                name: &row.name,
                path: &row.path,
                depends: &row.depends,
                softdeps: &[],
                aliases: &row.aliases,
            })
            .collect()
    }
}
