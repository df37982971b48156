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
use pintle_update::EntryState;
use rustix::fd::AsFd;

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
enum Next {
    /// This very program, begun anew: nothing that stage 1 has opened or allocated stays.
    Myself,
    /// The image's own pintle-init, open from the verified root.
    Own(File),
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
    let next = Next::of(mounted.system);
    switch_root(Path::new(NEW_ROOT))?;
    match next {
        Next::Myself => Err(become_myself().into()),
        Next::Own(file) => Err(become_own_init(&file).into()),
        Next::Other(path) => {
            all.watchdog.take().map(|watchdog| watchdog.disarm());
            Err(become_init(&path).into())
        }
    }
}

impl Next {
    fn of(system: System) -> Self {
        let own = Path::new(NEW_ROOT).join(OWN_INIT);
        match (&system.init, File::open(own)) {
            (Some(other), _) => Next::Other(other.clone()),
            (None, Ok(own)) => Next::Own(own),
            (None, Err(_)) => Next::Myself,
        }
    }
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
        verity: way_word(&mounted.root).to_owned(),
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

/// Runs from memory, so that a failing disk cannot take PID 1 away.
fn become_own_init(file: &File) -> pintle_sys::Error {
    match exec::memory_copy_of(file.as_fd()) {
        Ok(copy) => exec::replace_by_fd(copy.as_fd(), &words(&["pintle-init"]), &words(&[])),
        Err(error) => error,
    }
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
        Root::Fs => "fs",
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
