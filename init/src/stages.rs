//! The stages of [`boot`](crate::boot), each a verb on a noun.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use pintle_config::{Boot, DeviceSpec, Lock, ModuleTable, Overrides, Purpose, Shell, cmdline};
use pintle_mount::ext4::Verity;
use pintle_mount::modules::Loader;
use pintle_mount::{BlockDevice, base, devices, modules, state};
use pintle_sys::uevent::Socket;
use pintle_sys::watchdog::{LastReset, Watchdog};
use pintle_update::reset::{self, FactoryReset};
use pintle_update::{Reset, Store};
use rustix::fd::AsFd;

use crate::initramfs::{self, Initramfs};
use crate::new_root::NEW_ROOT;
use crate::report::{Event, Report};
use crate::shell;
use crate::store::{self, KEYS, STATE};
use crate::watchdog;

/// Why the boot was given up.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something could not be mounted, or a device did not appear.
    Mount(pintle_mount::Error),
    /// A kernel interface refused.
    Kernel(pintle_sys::Error),
    /// A file could not be written.
    File { path: &'static str, cause: io::Error },
    /// The initramfs lacks a part.
    Initramfs(initramfs::Error),
    /// The state partition holds no store.
    Store(store::Error),
    /// The boot configuration cannot be handed over.
    Config(pintle_config::Error),
    /// Every entry was refused, or there is none; the reasons are in the report.
    NothingBoots { entries: usize },
}

/// Where PID 1 was started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    Initramfs,
    /// A mounted root: another initramfs came before, or stage 1 executed the image's own pintle-init.
    Root,
}

/// The boot configuration and what the command line says beside it.
pub(crate) struct Settings {
    pub(crate) boot: Boot,
    pub(crate) overrides: Overrides,
}

/// The kernel unpacks an initramfs into a ramfs or a tmpfs, and `pintle initrd` puts these files there.
pub(crate) fn place() -> Place {
    match fs::exists("/pintle/boot.bin") {
        Ok(true) => Place::Initramfs,
        Ok(false) | Err(_) => Place::Root,
    }
}

pub(crate) fn mount_kernel_file_systems() -> Result<(), Failure> {
    base::mount_first()?;
    ["/run/pintle", NEW_ROOT].into_iter().try_for_each(make_directory)
}

pub(crate) fn open_report(report: &mut Report) {
    *report = Report::open();
}

pub(crate) fn read_initramfs() -> Result<Initramfs, Failure> {
    Ok(Initramfs::read()?)
}

/// What is wrong with an option is reported, and the option ignored.
pub(crate) fn obey_command_line(boot: &Boot, report: &mut Report) -> Settings {
    let text = fs::read("/proc/cmdline").unwrap_or_default();
    let (overrides, complaints) = cmdline::parse(&text, boot.lock);
    let boot = boot.clone().with(&overrides);
    report.limit_log(boot.log);
    announce(&boot, report);
    for complaint in complaints {
        report.event(&Event::OptionIgnored { reason: &complaint.to_string() });
    }
    Settings { boot, overrides }
}

fn announce(boot: &Boot, report: &mut Report) {
    let kernel = rustix::system::uname();
    let lock = match boot.lock {
        Lock::Locked => "locked",
        Lock::Unlocked => "unlocked",
    };
    report.event(&Event::Started {
        kernel: &kernel.release().to_string_lossy(),
        version: env!("CARGO_PKG_VERSION"),
        lock,
    });
}

/// Makes a kernel panic end in a reboot, so that boot counting goes on.
pub(crate) fn set_panic_timeout(boot: &Boot) -> Result<(), Failure> {
    const PATH: &str = "/proc/sys/kernel/panic";
    let seconds = boot.panic_timeout.seconds().to_string();
    fs::write(PATH, seconds).map_err(|cause| file(PATH, cause))
}

/// Before the first module is loaded, so that no device's appearance is missed.
pub(crate) fn listen_to_the_kernel() -> Result<Socket, Failure> {
    Ok(Socket::bind()?)
}

/// Loads what every boot needs and what the devices that are there want.
pub(crate) fn load_modules<'a>(table: &'a ModuleTable, report: &mut Report) -> Loader<'a> {
    warn_of_other_kernel(table, report);
    let mut loader = Loader::new(table.modules.iter().map(module).collect());
    table.roots(Purpose::Base).for_each(|position| loader.load(position));
    loader.load_for_present();
    loader
}

fn warn_of_other_kernel(table: &ModuleTable, report: &mut Report) {
    let running = rustix::system::uname();
    let running = running.release().to_string_lossy();
    if let Some(built_for) = table.release.as_ref().filter(|release| release.as_str() != running) {
        let cause = format!("they are for Linux {built_for}, and Linux {running} runs");
        report.alert("the initramfs's modules", &cause);
    }
}

fn module(module: &pintle_config::Module) -> modules::Module<'_> {
    modules::Module {
        name: module.name.as_str(),
        path: module.path.as_str(),
        depends: &module.depends,
        softdeps: &module.softdeps,
        aliases: &module.aliases,
    }
}

pub(crate) fn wait_for_state(
    boot: &Boot,
    modules: &mut Loader<'_>,
    uevents: &Socket,
    report: &mut Report,
) -> Result<BlockDevice, Failure> {
    let wanted = match &boot.state {
        DeviceSpec::Label(label) => devices::DeviceSpec::Label(label),
        DeviceSpec::Uuid(uuid) => devices::DeviceSpec::Uuid(uuid),
        DeviceSpec::PartLabel(label) => devices::DeviceSpec::PartLabel(label),
        DeviceSpec::PartUuid(uuid) => devices::DeviceSpec::PartUuid(uuid),
        DeviceSpec::Path(path) => devices::DeviceSpec::Path(Path::new(path.as_str())),
    };
    if devices::find(wanted).is_none() {
        let seconds = boot.state_timeout.seconds();
        report.event(&Event::Waiting { device: &wanted.to_string(), seconds });
    }
    Ok(devices::wait(wanted, boot.state_timeout.duration(), modules, uevents)?)
}

/// The port appears some time after its driver was loaded: who comes too early comes again.
pub(crate) fn connect_report(boot: &Boot, report: &mut Report) {
    if let Some(port) = &boot.report {
        report.connect(port.as_str(), 0);
    }
}

/// A machine without a watchdog boots too; its hangs are then nobody's to see.
pub(crate) fn start_watchdog(boot: &Boot, report: &mut Report) -> Option<Watchdog> {
    let guard = watchdog::start(boot, report);
    watchdog::announce(guard.as_ref(), report);
    guard.map(|guard| guard.watchdog)
}

/// One that could not be fed resets the machine; there is nothing better to do about it here.
pub(crate) fn feed(watchdog: Option<&Watchdog>) {
    watchdog.map_or(Ok(()), Watchdog::keep_alive).unwrap_or_default();
}

pub(crate) fn mount_state(
    device: &BlockDevice,
    watchdog: Option<&Watchdog>,
    report: &mut Report,
) -> Result<Verity, Failure> {
    make_directory(STATE)?;
    let state = state::mount(device, Path::new(STATE), &mut || feed(watchdog))?;
    report.event(&Event::StateMounted { device: &device.name });
    if let Some(repair) = state.repair {
        report.alert("state", &format!("it was damaged and has been repaired: {repair:?}"));
    }
    if let Some(error) = state.unrepaired {
        report.alert("state", &format!("it is marked as damaged: {error}"));
    }
    Ok(state.verity)
}

pub(crate) fn open_store(boot: &Boot, report: &mut Report) -> Result<Store, Failure> {
    let store = store::open(boot)?;
    // A state file system that cannot be written may still hold a good entry.
    store.prepare().or_alert(report);
    close_to_others().or_alert(report);
    Ok(store)
}

/// What the machine keeps is root's business: `/etc` and `/var` are reached by their own mounts.
fn close_to_others() -> Result<(), Failure> {
    let owner_only = fs::Permissions::from_mode(0o700);
    fs::set_permissions(STATE, owner_only).map_err(|cause| file(STATE, cause))
}

/// A factory reset that was asked for is carried out before anything of the old data is used.
pub(crate) fn finish_reset(report: &mut Report) -> Result<(), Failure> {
    let state = store::open_directory(Path::new(STATE))?;
    match reset::carry_out_pending(state.as_fd()).map_err(store::Error::from)? {
        FactoryReset::Done => report.event(&Event::DataFresh),
        FactoryReset::NotWanted => {}
    }
    Ok(())
}

/// An entry during whose run the machine hung, or kept stopping, is on trial again.
pub(crate) fn judge_last_run(
    store: &Store,
    watchdog: Option<&Watchdog>,
    report: &mut Report,
) -> Result<(), Failure> {
    let reset = match watchdog.map(Watchdog::last_reset) {
        Some(Ok(LastReset::Watchdog)) => Reset::Watchdog,
        Some(Ok(LastReset::Other | LastReset::Unknown) | Err(_)) | None => Reset::Other,
    };
    let judged = store.judge_last_run(reset).map_err(store::Error::from)?;
    if let Some((entry, _)) = judged {
        let reason = match reset {
            Reset::Watchdog => "the watchdog reset the machine",
            Reset::Other => "it was not shut down cleanly several times in a row",
        };
        report.event(&Event::EntryDemoted { entry: &entry.to_string(), reason });
    }
    Ok(())
}

/// Only an unlocked machine's command line can ask for it: `cmdline::parse` leaves it out otherwise.
pub(crate) fn offer_shell(settings: &Settings, watchdog: Option<&Watchdog>) -> Result<(), Failure> {
    match settings.overrides.shell {
        Some(Shell::Stage1) => Ok(shell::run_to_its_end(&mut || feed(watchdog))?),
        Some(Shell::No | Shell::Stage2) | None => Ok(()),
    }
}

/// What is installed later is held against the same keys.
pub(crate) fn hand_over_keys(keys: &[u8]) -> Result<(), Failure> {
    let mut options = fs::OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(0o600).open(KEYS);
    opened.and_then(|mut opened| io::Write::write_all(&mut opened, keys)).map_err(|c| file(KEYS, c))
}

fn make_directory(path: &'static str) -> Result<(), Failure> {
    fs::create_dir_all(path).map_err(|cause| file(path, cause))
}

fn file(path: &'static str, cause: io::Error) -> Failure {
    Failure::File { path, cause }
}

/// What the boot can do without.
pub(crate) trait OrAlert {
    /// Reports the failure and goes on.
    fn or_alert(self, report: &mut Report);
}

impl<E: fmt::Display> OrAlert for Result<(), E> {
    fn or_alert(self, report: &mut Report) {
        if let Err(failure) = self {
            report.alert("boot", &failure.to_string());
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mount(cause) => cause.fmt(f),
            Self::Kernel(cause) => cause.fmt(f),
            Self::File { path, cause } => write!(f, "cannot write {path}: {cause}"),
            Self::Initramfs(cause) => cause.fmt(f),
            Self::Config(cause) => cause.fmt(f),
            Self::Store(cause) => cause.fmt(f),
            Self::NothingBoots { entries: 0 } => {
                f.write_str("no image is installed: images/ on the state partition is empty")
            }
            Self::NothingBoots { entries } => {
                write!(f, "none of {entries} entries could be booted")
            }
        }
    }
}

impl From<pintle_mount::Error> for Failure {
    fn from(cause: pintle_mount::Error) -> Self {
        Self::Mount(cause)
    }
}

impl From<pintle_sys::Error> for Failure {
    fn from(cause: pintle_sys::Error) -> Self {
        Self::Kernel(cause)
    }
}

impl From<pintle_config::Error> for Failure {
    fn from(cause: pintle_config::Error) -> Self {
        Self::Config(cause)
    }
}

impl From<initramfs::Error> for Failure {
    fn from(cause: initramfs::Error) -> Self {
        Self::Initramfs(cause)
    }
}

impl From<store::Error> for Failure {
    fn from(cause: store::Error) -> Self {
        Self::Store(cause)
    }
}
