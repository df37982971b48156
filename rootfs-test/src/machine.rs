//! A machine that is running, from the outside: its report, its agent, its power switch.

use std::fs;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, anyhow, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::accelerator::Accelerator;
use crate::agent::{self, Agent, Output};
use crate::host::program;
use crate::qmp::Qmp;
use crate::report::{self, Report, Reports};
use crate::vm::{self, Console, Vm};
use crate::walk::Node;

/// How long a machine may take for one step. An emulated Debian on a busy host needs 30 s to boot; what takes
/// longer than this has hung.
const DEADLINE: Duration = Duration::from_secs(180);

/// Machines at a time: more than the cores would only make each other late.
const PLACES: usize = 2;

/// How many lines of the console an error shows.
const CONSOLE_TAIL: usize = 40;

/// Why a machine is off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It switched itself off.
    PowerOff,
    /// It was reset, and was made to end then.
    Reset,
}

/// A machine that is on. Dropping it cuts the power.
#[derive(Debug)]
pub struct Machine {
    qemu: Child,
    qmp: Qmp,
    reports: Reports,
    agent: Agent<UnixStream>,
    folder: TempDir,
    _place: Place,
}

impl Machine {
    pub(crate) fn start(vm: &Vm, accelerator: Accelerator) -> Result<Machine> {
        let place = Place::take();
        let folder = tempfile::Builder::new().prefix("pintle-vm-").tempdir()?;
        let listen = |name| UnixListener::bind(folder.path().join(name));
        let listeners = [listen("qmp")?, listen(report::PORT)?, listen(agent::PORT)?];
        let mut command = program("qemu-system-x86_64");
        command.args(vm.arguments(accelerator, folder.path()));
        let mut qemu = spawn(command, vm.console, folder.path())?;
        let [monitor, report, port] = match connect(&listeners, &mut qemu) {
            Ok(sockets) => sockets,
            Err(error) => return Err(error.context(log(folder.path(), "qemu.log"))),
        };
        port.set_read_timeout(Some(DEADLINE))?;
        Ok(Machine {
            qmp: Qmp::connect(monitor, deadline())?,
            reports: Reports::read(report),
            agent: Agent::new(port),
            qemu,
            folder,
            _place: place,
        })
    }

    /// Waits until the machine reports this event, from what it last waited for onwards.
    pub fn wait_for(&mut self, event: &str) -> Result<Report> {
        self.wait_until(event, |report| report.event() == event)
    }

    /// Waits until the machine reports something that `wanted` holds for; `what` names it in the error.
    /// A machine that gives up before that is not waited for.
    pub fn wait_until(&mut self, what: &str, wanted: impl Fn(&Report) -> bool) -> Result<Report> {
        let found = self.reports.find(|report| wanted(report) || gave_up(report), deadline());
        let found = found.and_then(|report| match wanted(&report) {
            true => Ok(report),
            false => bail!("the machine gave up"),
        });
        found.map_err(|error| self.explain(error.context(format!("cannot see {what}"))))
    }

    /// Everything that the machine has reported and that has been waited past.
    pub fn reports(&self) -> &[Report] {
        self.reports.seen()
    }

    /// Runs a program in the guest; a status other than 0 is an error. Gives what it wrote to its standard output.
    pub fn run(&mut self, argv: &[&str]) -> Result<String> {
        let output = self.try_run(argv)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status != 0 {
            let complaint = String::from_utf8_lossy(&output.stderr);
            bail!("{} failed in the guest ({}): {complaint}{said}", argv.join(" "), output.status);
        }
        Ok(said)
    }

    /// Runs a program in the guest, however it ends.
    pub fn try_run(&mut self, argv: &[&str]) -> Result<Output> {
        let ran = self.agent.run(argv, b"");
        ran.map_err(|error| self.explain(error.context(format!("cannot run {}", argv.join(" ")))))
    }

    /// Has a program run that ends the guest, such as `pintlectl reboot`, and does not wait for it.
    pub fn order(&mut self, argv: &[&str]) -> Result<()> {
        self.agent.order(argv)
    }

    /// Lists a tree of the guest with hashes.
    pub fn walk(&mut self, root: &str) -> Result<Vec<Node>> {
        let walked = self.agent.walk(root);
        walked.map_err(|error| self.explain(error.context(format!("cannot walk {root}"))))
    }

    /// Reads at most `length` bytes of a file or block device of the guest.
    pub fn read(&mut self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>> {
        let read = self.agent.read(path, offset, length);
        read.map_err(|error| self.explain(error.context(format!("cannot read {path}"))))
    }

    /// Writes into a file or block device of the guest, and syncs it.
    pub fn write(&mut self, path: &str, offset: u64, data: &[u8]) -> Result<()> {
        let written = self.agent.write(path, offset, data);
        written.map_err(|error| self.explain(error.context(format!("cannot write {path}"))))
    }

    /// Plugs the late disk in ([`Vm::late_disk`]).
    pub fn plug_in(&mut self) -> Result<()> {
        let device = json!({ "driver": "virtio-blk-pci", "bus": vm::SLOT, "drive": vm::LATE_DISK });
        self.qmp.execute_with("device_add", &device, deadline()).map(drop)
    }

    /// Stops its processor. What it is in the middle of stays so.
    pub fn pause(&mut self) -> Result<()> {
        self.qmp.execute("stop", deadline()).map(drop)
    }

    /// Lets its processor run on.
    pub fn resume(&mut self) -> Result<()> {
        self.qmp.execute("cont", deadline()).map(drop)
    }

    /// Presses its reset button: what it has not written to its disks is gone, and it boots again.
    pub fn reset(&mut self) -> Result<()> {
        self.qmp.execute("system_reset", deadline())?;
        while let Some(event) = self.qmp.next_event(deadline())? {
            if event["event"] == "RESET" {
                return Ok(());
            }
        }
        bail!("cannot reset the machine: it has ended")
    }

    /// Waits until it is off by its own doing.
    pub fn wait_for_end(&mut self) -> Result<End> {
        let end = self.end(deadline());
        self.reports.read_rest(Instant::now());
        end.map_err(|error| self.explain(error.context("cannot see the machine's end")))
    }

    /// Cuts its power: what it has not written to its disks is gone.
    pub fn cut_power(mut self) -> Result<()> {
        self.qemu.kill()?;
        Ok(self.qemu.wait().map(drop)?)
    }

    /// Waits until the person at its terminal has switched it off.
    pub fn wait_at_terminal(mut self) -> Result<()> {
        Ok(self.qemu.wait().map(drop)?)
    }

    /// What its console shows so far.
    pub fn console(&self) -> String {
        log(self.folder.path(), "console.log")
    }

    fn end(&mut self, deadline: Instant) -> Result<End> {
        let mut end = Err(anyhow!("QEMU ended without a word"));
        while let Some(event) = self.qmp.next_event(deadline)? {
            match event["event"].as_str() {
                Some("SHUTDOWN") => end = reason(&event),
                Some("STOP") => bail!("the machine stopped: {}", self.log_of_qemu()),
                _ => {}
            }
        }
        self.qemu.wait()?;
        end
    }

    fn log_of_qemu(&self) -> String {
        log(self.folder.path(), "qemu.log")
    }

    /// Adds the tail of console and report to an error.
    fn explain(&self, error: Error) -> Error {
        let console = self.console();
        let lines = console.lines().collect::<Vec<_>>();
        let tail =
            lines.get(lines.len().saturating_sub(CONSOLE_TAIL)..).unwrap_or_default().join("\n");
        let reports = self.reports().iter().map(Report::line).collect::<Vec<_>>().join("\n");
        let story = format!("report:\n{reports}\nconsole:\n{tail}\nqemu:\n{}", self.log_of_qemu());
        anyhow!("{error:#}\n{story}")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It fails only if the machine has ended by itself.
        drop(self.qemu.kill());
        drop(self.qemu.wait());
    }
}

fn gave_up(report: &Report) -> bool {
    report.event() == "recovery"
}

fn deadline() -> Instant {
    Instant::now() + DEADLINE
}

fn spawn(mut command: Command, console: Console, folder: &Path) -> Result<Child> {
    let log = fs::File::create(folder.join("qemu.log"))?;
    match console {
        Console::Terminal => {}
        Console::Log => {
            command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        }
    }
    command.spawn().context("cannot start qemu-system-x86_64")
}

/// Waits until QEMU has connected to each of the sockets, which it does in its first moments.
fn connect(listeners: &[UnixListener; 3], qemu: &mut Child) -> Result<[UnixStream; 3]> {
    let [monitor, report, agent] = listeners;
    Ok([accept(monitor, qemu)?, accept(report, qemu)?, accept(agent, qemu)?])
}

fn accept(listener: &UnixListener, qemu: &mut Child) -> Result<UnixStream> {
    use rustix::event::{PollFd, PollFlags, poll};
    let pidfd = rustix::process::pidfd_open(
        rustix::process::Pid::from_child(qemu),
        rustix::process::PidfdFlags::empty(),
    )?;
    let mut ready = [PollFd::new(listener, PollFlags::IN), PollFd::new(&pidfd, PollFlags::IN)];
    poll(&mut ready, None)?;
    let [connected, _] = ready;
    if connected.revents().is_empty() {
        bail!("QEMU ended at its start ({})", qemu.wait()?);
    }
    Ok(listener.accept()?.0)
}

fn reason(shutdown: &Value) -> Result<End> {
    match shutdown["data"]["reason"].as_str() {
        Some("guest-shutdown") => Ok(End::PowerOff),
        Some("guest-reset") => Ok(End::Reset),
        other => bail!("the machine was shut down: {other:?}"),
    }
}

fn log(folder: &Path, name: &str) -> String {
    String::from_utf8_lossy(&fs::read(folder.join(name)).unwrap_or_default()).replace('\r', "")
}

/// One of the host's places for a running machine.
#[derive(Debug)]
struct Place;

static TAKEN: Mutex<usize> = Mutex::new(0);
static FREED: Condvar = Condvar::new();

impl Place {
    /// Waits for a free place. A story that needs more machines at once than there are places waits for ever.
    fn take() -> Place {
        let free = FREED.wait_while(taken(), |taken| *taken >= PLACES);
        *free.unwrap_or_else(PoisonError::into_inner) += 1;
        Place
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *taken() -= 1;
        FREED.notify_one();
    }
}

fn taken() -> MutexGuard<'static, usize> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}
