//! The verified image becomes the root: the machine's own `/etc` and `/var` over it, then stage 2 in it.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use pintle_config::{EtcMode, Program, Purpose, Shell, System};
use pintle_mount::{Root, overlay, switch_root};
use pintle_sys::exec;
use pintle_sys::spawn::StringArray;
use pintle_sys::watchdog::Watchdog;
use pintle_update::EntryState;
use rustix::fd::{AsFd, OwnedFd};

use crate::candidates::{Candidates, Mounted};
use crate::handover::{Handover, WantsShell};
use crate::refusal::Refusal;
use crate::report::Report;
use crate::stages::{Failure, OrAlert};
use crate::store::STATE;

/// Where the image is mounted until it becomes the root.
pub(crate) const NEW_ROOT: &str = "/sysroot";

/// The image's own pintle-init; where there is none, the initramfs's goes on.
const OWN_INIT: &str = "usr/lib/pintle/pintle-init";

/// Services and system configuration, compiled by `pintle build`.
const SYSTEM: &str = "usr/lib/pintle/system.bin";

/// A directory for each kernel that the image has modules for.
const MODULES: &str = "usr/lib/modules";

/// Where local changes to a transient `/etc` are until the next boot.
const TRANSIENT_ETC: &str = "/run/pintle/etc";

/// Who goes on in the new root.
pub(crate) enum Next {
    /// This very program, begun anew: nothing that stage 1 has opened or allocated stays.
    Myself,
    /// The image's own pintle-init, in memory, so that a failing disk cannot take PID 1 away.
    Own(OwnedFd),
    /// Another init, by its path in the new root.
    Other(Program),
}

/// What the mounted image wants to run.
pub(crate) fn read_system() -> Result<System, Refusal> {
    let path = Path::new(NEW_ROOT).join(SYSTEM);
    let bytes = read_bounded(&path, System::BYTES_MAX).map_err(|cause| {
        Refusal::System(format!("cannot read /{SYSTEM}: {cause}; was it built by pintle build?"))
    })?;
    System::from_bytes(&bytes).map_err(|cause| Refusal::System(cause.to_string()))
}

/// The build has checked that the image's modules fit the kernel in it; which kernel runs is the boot loader's choice.
pub(crate) fn warn_of_other_modules(report: &mut Report) {
    let Ok(releases) = fs::read_dir(Path::new(NEW_ROOT).join(MODULES)) else { return };
    let releases = releases.flatten().map(|release| release.file_name());
    let releases: Vec<_> = releases.map(|name| name.to_string_lossy().into_owned()).collect();
    let running = rustix::system::uname();
    let running = running.release().to_string_lossy();
    if !releases.is_empty() && !releases.iter().any(|release| *release == running) {
        let releases = releases.join(", ");
        let cause = format!("they are for Linux {releases}, and Linux {running} runs");
        report.alert("the image's modules", &cause);
    }
}

/// Makes the image the root and goes on in it.
pub(crate) fn enter(mut all: Candidates<'_>, mounted: Mounted) -> Result<Infallible, Failure> {
    all.load_for(Purpose::Overlay);
    lay_etc(all.settings.boot.etc_mode(&mounted.system), all.report);
    bind_var().or_alert(all.report);
    let handover = hand_over(&all, &mounted)?;
    handover.write().or_alert(all.report);
    switch_root(Path::new(NEW_ROOT))?;
    match mounted.next {
        Next::Myself => Err(become_myself().into()),
        Next::Own(copy) => Err(become_own_init(&copy).into()),
        Next::Other(path) => {
            // It starts the watchdog again, if it wants to: fed by nobody, it would end a slow start.
            disarm(all.watchdog.take()).or_alert(all.report);
            Err(become_init(&path).into())
        }
    }
}

fn disarm(watchdog: Option<Watchdog>) -> Result<(), pintle_sys::Error> {
    watchdog.map_or(Ok(()), Watchdog::disarm)
}

impl Next {
    /// Read and copied now, while there still is a next entry to go to.
    pub(crate) fn of(system: &System) -> Result<Self, Refusal> {
        let refuse = |cause: &dyn std::fmt::Display| Refusal::Init(cause.to_string());
        if let Some(other) = &system.init {
            return Ok(Next::Other(other.clone()));
        }
        match File::open(Path::new(NEW_ROOT).join(OWN_INIT)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Next::Myself),
            Err(error) => Err(refuse(&error)),
            Ok(own) if !is_elf(&own) => Err(refuse(&"it is no ELF file")),
            Ok(own) => exec::memory_copy_of(own.as_fd()).map(Next::Own).map_err(|e| refuse(&e)),
        }
    }
}

fn is_elf(file: &File) -> bool {
    let mut magic = [0; 4];
    std::os::unix::fs::FileExt::read_exact_at(file, &mut magic, 0).is_ok() && magic == *b"\x7fELF"
}

/// Local changes that cannot be had are no reason not to boot: they are kept in memory then.
fn lay_etc(mode: EtcMode, report: &mut Report) {
    let at = Path::new(NEW_ROOT).join("etc");
    let homes = match mode {
        EtcMode::Persistent => vec![data("etc"), PathBuf::from(TRANSIENT_ETC)],
        EtcMode::Transient => vec![PathBuf::from(TRANSIENT_ETC)],
    };
    for home in homes {
        let laid = make_parent(&home).and_then(|()| Ok(overlay::lay_over(&at, &home)?));
        match laid {
            Ok(()) => return,
            Err(failure) => report.alert("/etc", &failure.to_string()),
        }
    }
}

fn bind_var() -> Result<(), Failure> {
    let home = data("var");
    make_parent(&home)?;
    Ok(overlay::bind(&home, &Path::new(NEW_ROOT).join("var"))?)
}

/// What factory reset throws away.
fn data(name: &str) -> PathBuf {
    Path::new(STATE).join("data").join(name)
}

fn make_parent(home: &Path) -> Result<(), Failure> {
    let made = home.parent().map_or(Ok(()), fs::create_dir_all);
    made.map_err(|cause| Failure::File { path: "data", cause })
}

fn hand_over(all: &Candidates<'_>, mounted: &Mounted) -> Result<Handover, Failure> {
    Ok(Handover {
        entry: mounted.entry.to_string(),
        version: mounted.seal.version.to_string(),
        root_hash: mounted.seal.root_hash.hex(),
        root: mounted.root.clone().into(),
        refused: all.refused.clone(),
        shell: match all.settings.overrides.shell {
            Some(Shell::Stage2) => WantsShell::Yes,
            Some(Shell::No | Shell::Stage1) | None => WantsShell::No,
        },
        report_sent: all.report.sent(),
        boot: all.settings.boot.to_bytes()?,
    })
}

/// The initramfs's file is gone from its directory, and is still there for who runs it.
fn become_myself() -> pintle_sys::Error {
    exec::replace(c"/proc/self/exe", &words(&["pintle-init"]), &words(&[]))
}

fn become_own_init(copy: &OwnedFd) -> pintle_sys::Error {
    exec::replace_by_fd(copy.as_fd(), &words(&["pintle-init"]), &words(&[]))
}

fn become_init(path: &Program) -> pintle_sys::Error {
    match CString::new(path.as_str()) {
        Ok(program) => exec::replace(&program, &words(&[path.as_str()]), &words(&["TERM=linux"])),
        // No path of a configuration has a NUL in it.
        Err(_) => pintle_sys::Error { what: "name the init", errno: rustix::io::Errno::INVAL },
    }
}

fn words(words: &[&str]) -> StringArray {
    StringArray::new(words.iter().filter_map(|word| CString::new(*word).ok()).collect())
}

fn read_bounded(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One more than the limit, so that what is too long is seen to be.
    File::open(path)?.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// For people and programs.
pub(crate) fn way_word(root: &Root) -> &'static str {
    match root {
        Root::Dm { .. } => "dm",
        Root::Fs { .. } => "fs",
    }
}

/// For people and programs.
pub(crate) fn state_word(state: EntryState) -> &'static str {
    match state {
        EntryState::Good => "good",
        EntryState::Trial { .. } => "trial",
        EntryState::Bad { .. } => "bad",
        EntryState::Rejected => "rejected",
    }
}
