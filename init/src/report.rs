//! What happened, for people and for programs: each [`Event`] is a line in the kernel log and a JSON line in
//! `/run/pintle/report.jsonl`, which also goes out on a virtio port where the boot configuration names one.
//!
//! A line is `{"t":MICROSECONDS,"event":"kebab-name",…}`, `t` on the boot clock. Reporting never fails and never blocks:
//! what the port does not take now is sent with the next line, from the file.

use core::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;

use pintle_config::LogLevel;
use rustix::fs::OFlags;
use serde::Serialize;

use crate::clock;

/// The report as a file, for the machine's own tools.
pub(crate) const PATH: &str = "/run/pintle/report.jsonl";

/// What came before, once the report has reached its limit.
const OLD_PATH: &str = "/run/pintle/report.old.jsonl";

/// `/run` is memory, and a service in a restart loop reports for ever: a file grows to this, and there are two.
const REPORT_LIMIT: u64 = 1 << 20;

/// What the port is handed at once.
const CHUNK: usize = 4096;

/// Something that the machine's owner may want to know.
#[derive(Serialize, Clone, Debug)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Event<'a> {
    /// Stage 1 runs.
    Started { kernel: &'a str, version: &'a str, lock: &'a str },
    /// A command line option that is not obeyed.
    OptionIgnored { reason: &'a str },
    /// Something went wrong that the boot survives.
    Alert { subject: &'a str, cause: &'a str },
    /// The watchdog resets the machine after so long without a sign of life; without a number there is none.
    Watchdog { seconds: Option<u64> },
    /// The state device is not there yet.
    Waiting { device: &'a str, seconds: u64 },
    /// The state file system is mounted.
    StateMounted { device: &'a str },
    /// A run that ended badly has left its report here.
    LastReport { path: &'a str },
    /// Local changes begin anew: at the first boot, and after a factory reset.
    DataFresh,
    /// An entry will not be booted now.
    EntryRefused { entry: &'a str, reason: &'a str },
    /// This entry is being booted; a trial's try has been counted.
    EntryChosen { entry: &'a str, state: &'a str },
    /// An entry that had been good is on trial again.
    EntryDemoted { entry: &'a str, reason: &'a str },
    /// The image is mounted and every read of it is verified.
    RootMounted { entry: &'a str, verity: &'a str, root_hash: &'a str },
    /// Nothing can be booted; this is what follows after so many seconds.
    Recovery { action: &'a str, seconds: u64 },
    /// Stage 2 runs.
    Running { entry: &'a str, services: usize, memory_available: u64 },
    /// A service went to another state.
    Service { name: &'a str, state: &'a str },
    /// A service's main process, or its health command, has ended.
    Ended { name: &'a str, process: &'a str, status: Option<i32>, signal: Option<i32> },
    /// All that is essential is ready.
    Healthy { entry: &'a str },
    /// What is essential did not become ready, or was lost.
    Unhealthy { entry: &'a str, reason: &'a str },
    /// The entry is marked good.
    Blessed { entry: &'a str },
    /// The seal of an entry that turned out bad is remembered: it is not installed again unless somebody insists.
    BadRemembered { entry: &'a str },
    /// The entry was one more than are kept, and is removed.
    EntryPruned { entry: &'a str },
    /// The tag that the machine follows names a new release.
    UpdateFound { version: &'a str, sequence: u64 },
    /// How its bytes come, and what the other ways would have cost.
    UpdateWay { way: &'a str },
    /// It is an entry now, on trial.
    UpdateInstalled { entry: &'a str },
    /// The machine reboots into it.
    UpdateReboot { entry: &'a str },
    /// A block of the running image is not what was signed.
    Corruption { source: &'a str, reaction: &'a str },
    /// The machine is going down.
    ShuttingDown { how: &'a str },
    /// Services have ended; what remains is unmounting.
    Unmounting { services_left: usize },
}

#[derive(Serialize)]
struct Line<'a> {
    t: u64,
    #[serde(flatten)]
    event: &'a Event<'a>,
}

/// Where events go.
#[derive(Default)]
pub(crate) struct Report {
    /// The highest syslog level that the kernel log gets.
    verbosity: u8,
    file: Option<File>,
    port: Option<File>,
    /// How much of the file the port has taken.
    sent: u64,
}

impl Report {
    /// Reports to the kernel log and the file; what cannot be opened is done without.
    pub(crate) fn open() -> Self {
        let file = open_file();
        Self { verbosity: verbosity(LogLevel::Info), file, port: None, sent: 0 }
    }

    /// Tells the kernel log no more than `level`; the report itself is always whole.
    pub(crate) fn limit_log(&mut self, level: LogLevel) {
        self.verbosity = verbosity(level);
    }

    /// Sends the report from byte `sent` on to the virtio port called `name` as well, if there is one and it does not
    /// take the report already.
    pub(crate) fn connect(&mut self, name: &str, sent: u64) {
        if self.port.is_none() {
            self.port = virtio_port(name);
            self.sent = sent;
            self.send();
        }
    }

    /// How much of the report the port has taken, for whoever connects next.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Reports `event`.
    pub(crate) fn event(&mut self, event: &Event<'_>) {
        self.log(event);
        self.append(event);
        self.send();
    }

    /// Reports something that went wrong and that the boot survives.
    pub(crate) fn alert(&mut self, subject: &str, cause: &str) {
        self.event(&Event::Alert { subject, cause });
    }

    /// The kernel log takes a record a write, and ten of one opened file in five seconds: so each has a file of its own.
    /// An error here has nowhere left to go.
    fn log(&self, event: &Event<'_>) {
        let level = event.level();
        if level <= self.verbosity {
            let line = format!("<{level}>pintle: {event}\n");
            let kmsg = OpenOptions::new().write(true).open("/dev/kmsg");
            drop(kmsg.and_then(|mut kmsg| kmsg.write_all(line.as_bytes())));
        }
    }

    fn append(&mut self, event: &Event<'_>) {
        let Ok(mut line) = serde_json::to_vec(&Line { t: clock::microseconds(), event }) else {
            return;
        };
        line.push(b'\n');
        if self.length() > REPORT_LIMIT {
            self.begin_anew();
        }
        if let Some(file) = &mut self.file {
            // A full `/run`: the kernel log has the event.
            file.write_all(&line).unwrap_or_default();
        }
    }

    /// Children write to the file too.
    fn length(&self) -> u64 {
        self.file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |it| it.len())
    }

    /// Where the old file cannot be put aside, it is kept, and the report ends there. A child ends before it needs another
    /// one, and PID 1 must not go on in a file that was put aside.
    fn begin_anew(&mut self) {
        if rustix::process::getpid().is_init() {
            self.send();
            self.file = std::fs::rename(PATH, OLD_PATH).ok().and_then(|()| open_file());
            self.sent = 0;
        }
    }

    /// Hands the port what it has not taken yet; it takes nothing while no host listens.
    pub(crate) fn send(&mut self) {
        let length = self.length();
        let (Some(file), Some(port)) = (&mut self.file, &mut self.port) else { return };
        let mut chunk = [0; CHUNK];
        while self.sent < length {
            let Ok(count) = read_at(file, self.sent, &mut chunk) else { return };
            let Ok(taken) = port.write(chunk.get(..count).unwrap_or_default()) else { return };
            if taken == 0 {
                return;
            }
            self.sent = self.sent.saturating_add(taken as u64);
        }
    }
}

fn open_file() -> Option<File> {
    OpenOptions::new().create(true).append(true).read(true).open(PATH).ok()
}

/// The syslog level of the least important events that are logged.
fn verbosity(level: LogLevel) -> u8 {
    match level {
        LogLevel::Error => 3,
        LogLevel::Warn => 4,
        LogLevel::Info => 6,
    }
}

fn read_at(file: &mut File, offset: u64, chunk: &mut [u8]) -> std::io::Result<usize> {
    file.seek(SeekFrom::Start(offset))?;
    file.read(chunk)
}

/// Ports are found by the name the host gave them; without udev there are no links to them.
fn virtio_port(name: &str) -> Option<File> {
    let ports = std::fs::read_dir("/sys/class/virtio-ports").ok()?;
    let port = ports.flatten().find(|port| {
        let given = std::fs::read_to_string(port.path().join("name"));
        given.is_ok_and(|given| given.trim_end() == name)
    })?;
    let path = std::path::Path::new("/dev").join(port.file_name());
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new().write(true).custom_flags(nonblocking).open(path).ok()
}

impl Event<'_> {
    /// The syslog level, 0 (emergency) to 7 (debug).
    fn level(&self) -> u8 {
        match self {
            Event::Corruption { .. } | Event::Recovery { .. } => 2,
            Event::EntryRefused { .. } | Event::Unhealthy { .. } | Event::Alert { .. } => 3,
            Event::OptionIgnored { .. } | Event::EntryDemoted { .. } => 4,
            Event::EntryChosen { .. } | Event::RootMounted { .. } | Event::Blessed { .. } => 5,
            Event::ShuttingDown { .. } | Event::Healthy { .. } => 5,
            Event::Started { .. } | Event::StateMounted { .. } | Event::DataFresh => 6,
            Event::Waiting { .. }
            | Event::LastReport { .. }
            | Event::BadRemembered { .. }
            | Event::EntryPruned { .. }
            | Event::UpdateReboot { .. } => 5,
            Event::UpdateFound { .. } | Event::UpdateInstalled { .. } => 5,
            Event::UpdateWay { .. } | Event::Running { .. } | Event::Watchdog { .. } => 6,
            Event::Service { .. } | Event::Unmounting { .. } => 6,
            Event::Ended { status: Some(0), .. } => 6,
            Event::Ended { .. } => 4,
        }
    }
}

/// One sentence for people.
impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Started { kernel, version, lock } => {
                write!(f, "version {version} on Linux {kernel}, {lock}")
            }
            Event::OptionIgnored { reason } => f.write_str(reason),
            Event::Alert { subject, cause } => write!(f, "{subject}: {cause}"),
            Event::Watchdog { seconds: Some(seconds) } => {
                write!(f, "the watchdog resets a machine that hangs for {seconds} s")
            }
            Event::Watchdog { seconds: None } => {
                f.write_str("there is no watchdog: a machine that hangs stays so")
            }
            Event::Waiting { device, seconds } => {
                write!(f, "waiting for {device}, for at most {seconds} s")
            }
            Event::StateMounted { device } => write!(f, "state is on {device}"),
            Event::LastReport { path } => {
                write!(f, "a run ended badly, and its report is in {path}")
            }
            Event::DataFresh => f.write_str("local changes begin anew"),
            Event::EntryRefused { entry, reason } => write!(f, "refused {entry}: {reason}"),
            Event::EntryChosen { entry, state } => write!(f, "booting {entry} ({state})"),
            Event::EntryDemoted { entry, reason } => write!(f, "{entry} is on trial: {reason}"),
            Event::RootMounted { entry, verity, root_hash } => {
                write!(f, "root is {entry}, verified by {verity}, root hash {root_hash}")
            }
            Event::Recovery { action, seconds } => {
                write!(f, "nothing can be booted: {action} in {seconds} s")
            }
            Event::Running { entry, services, memory_available } => {
                let mebibytes = memory_available >> 20;
                write!(f, "{entry} runs {services} services, {mebibytes} MiB of memory are free")
            }
            Event::Service { name, state } => write!(f, "service {name} is {state}"),
            Event::Ended { name, process, status: Some(status), .. } => {
                write!(f, "service {name}: its {process} ended with status {status}")
            }
            Event::Ended { name, process, signal, .. } => {
                let signal = signal.unwrap_or_default();
                write!(f, "service {name}: its {process} was ended by signal {signal}")
            }
            Event::Healthy { entry } => write!(f, "{entry} is healthy"),
            Event::Unhealthy { entry, reason } => write!(f, "{entry} is not healthy: {reason}"),
            Event::Blessed { entry } => write!(f, "{entry} is good"),
            Event::BadRemembered { entry } => write!(f, "{entry} is remembered as bad"),
            Event::EntryPruned { entry } => {
                write!(f, "{entry} is one more than are kept, and is removed")
            }
            Event::UpdateFound { version, sequence } => {
                write!(f, "release {version} is new (sequence {sequence})")
            }
            Event::UpdateWay { way } => write!(f, "the update comes {way}"),
            Event::UpdateInstalled { entry } => {
                write!(f, "{entry} is installed, and is tried at the next boot")
            }
            Event::UpdateReboot { entry } => write!(f, "rebooting into {entry}"),
            Event::Corruption { source, reaction } => write!(f, "corrupt: {source}; {reaction}"),
            Event::ShuttingDown { how } => write!(f, "shutting down: {how}"),
            Event::Unmounting { services_left } => {
                write!(f, "unmounting, {services_left} services would not end")
            }
        }
    }
}
