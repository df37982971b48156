//! A machine described: what it is made of, and the QEMU command line that makes it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::accelerator::Accelerator;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::{agent, report};

/// Megabytes of memory unless a story says otherwise: a Debian kernel, a Debian image and some room.
const MEMORY_MIB: u32 = 512;

/// What QEMU's `-icount shift=0` makes of the time-stamp counter: one instruction is one nanosecond.
const INSTRUCTION_TSC_KHZ: u32 = 1_000_000;

/// Where the late disk goes.
pub(crate) const SLOT: &str = "late-slot";

/// The late disk's drive.
pub(crate) const LATE_DISK: &str = "late";

/// The machine's main board.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Board {
    /// A PC with PCI Express.
    Q35,
    /// A PC without PCI: virtio-mmio found through ACPI, since Debian's kernels take none from the command line.
    Microvm,
}

/// A virtio disk with a raw file behind it.
#[derive(Clone, Debug)]
pub struct Disk {
    file: PathBuf,
    writes: Writes,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Writes {
    Kept,
    Dropped,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Clock {
    Host,
    Instructions,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Network {
    None,
    /// The machine is 10.0.2.15, and 10.0.2.2 is the host's 127.0.0.1.
    User,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum OnReset {
    Reboot,
    End,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Console {
    Log,
    Terminal,
}

/// A machine that can be booted. It has the report's and the agent's virtio ports, and a serial console.
#[derive(Clone, Debug)]
pub struct Vm {
    board: Board,
    kernel: PathBuf,
    initrd: Option<PathBuf>,
    cmdline: String,
    memory_mib: u32,
    disks: Vec<Disk>,
    late_disk: Option<Disk>,
    watchdogs: usize,
    network: Network,
    clock: Clock,
    on_reset: OnReset,
    pub(crate) console: Console,
}

impl Disk {
    /// The guest's writes stay in the file.
    pub fn keeping(file: &Path) -> Disk {
        Disk { file: file.to_owned(), writes: Writes::Kept }
    }

    /// The guest's writes are forgotten with the machine, and the file stays as it is.
    pub fn forgetting(file: &Path) -> Disk {
        Disk { file: file.to_owned(), writes: Writes::Dropped }
    }
}

impl Disk {
    /// The drive that a disk device names.
    fn drive(&self, id: &str) -> String {
        let snapshot = match self.writes {
            Writes::Kept => "off",
            Writes::Dropped => "on",
        };
        // The host outlives the machine, so its page cache is as good as a disk.
        let options = "format=raw,if=none,discard=unmap,cache=unsafe";
        format!("id={id},{options},snapshot={snapshot},file={}", self.file.display())
    }
}

/// The drive, and an empty slot for the device.
fn late_disk_words(disk: &Disk) -> [OsString; 4] {
    let slot = format!("pcie-root-port,id={SLOT},chassis=1");
    ["-drive".into(), disk.drive(LATE_DISK).into(), "-device".into(), slot.into()]
}

impl Vm {
    /// A machine with this board and kernel.
    pub fn on(board: Board, kernel: &Kernel) -> Vm {
        Vm {
            board,
            kernel: kernel.vmlinux(),
            initrd: None,
            cmdline: "console=ttyS0".into(),
            memory_mib: MEMORY_MIB,
            disks: Vec::new(),
            late_disk: None,
            watchdogs: 0,
            network: Network::None,
            clock: Clock::Host,
            on_reset: OnReset::Reboot,
            console: Console::Log,
        }
    }

    /// With this initramfs.
    #[must_use]
    pub fn initrd(mut self, file: &Path) -> Vm {
        self.initrd = Some(file.to_owned());
        self
    }

    /// With more on the kernel's command line.
    #[must_use]
    pub fn cmdline(mut self, more: &str) -> Vm {
        self.cmdline = format!("{} {more}", self.cmdline);
        self
    }

    /// With this much memory.
    #[must_use]
    pub fn memory_mib(mut self, memory: u32) -> Vm {
        self.memory_mib = memory;
        self
    }

    /// With one more disk: `/dev/vda`, `/dev/vdb`, …
    #[must_use]
    pub fn disk(mut self, disk: Disk) -> Vm {
        self.disks.push(disk);
        self
    }

    /// With a disk that lies beside it until [`Machine::plug_in`]. It goes into a PCI slot.
    #[must_use]
    pub fn late_disk(mut self, disk: Disk) -> Vm {
        self.late_disk = Some(disk);
        self
    }

    /// With an i6300esb watchdog that resets the machine. It sits on PCI.
    #[must_use]
    pub fn watchdog(mut self) -> Vm {
        self.watchdogs += 1;
        self
    }

    /// With a network card; the host's 127.0.0.1 is 10.0.2.2 to it.
    #[must_use]
    pub fn network(mut self) -> Vm {
        self.network = Network::User;
        self
    }

    /// With a clock that counts instructions, so that times repeat on a busy host. It is not wall time.
    #[must_use]
    pub fn counting_instructions(mut self) -> Vm {
        self.clock = Clock::Instructions;
        self
    }

    /// A reset ends it, as powering off does.
    #[must_use]
    pub fn ending_on_reset(mut self) -> Vm {
        self.on_reset = OnReset::End;
        self
    }

    /// With its console on this terminal.
    #[must_use]
    pub fn at_terminal(mut self) -> Vm {
        self.console = Console::Terminal;
        self
    }

    /// Switches it on, as soon as one of the host's places for machines is free.
    ///
    /// # Errors
    /// When QEMU does not start.
    pub fn boot(&self) -> Result<Machine> {
        let accelerator = match self.clock {
            Clock::Host => Accelerator::of_host()?,
            Clock::Instructions => Accelerator::Tcg,
        };
        self.boot_with(accelerator)
    }

    pub(crate) fn boot_with(&self, accelerator: Accelerator) -> Result<Machine> {
        ensure!(
            (self.watchdogs == 0 && self.late_disk.is_none()) || self.board == Board::Q35,
            "cannot fit an i6300esb watchdog or a late disk: a microvm has no PCI"
        );
        Machine::start(self, accelerator)
    }

    /// QEMU's arguments. The sockets are in `folder`: QEMU connects, the rig listens.
    pub(crate) fn arguments(&self, accelerator: Accelerator, folder: &Path) -> Vec<OsString> {
        let mut words = self.board_words(accelerator);
        words.extend(self.clock_words());
        words.extend(self.kernel_words(accelerator));
        words.extend(self.console_words(folder));
        words.extend(self.port_words(folder));
        words.extend(self.disks.iter().enumerate().flat_map(|(n, disk)| self.disk_words(n, disk)));
        words.extend(self.late_disk.iter().flat_map(late_disk_words));
        words.extend(self.network_words());
        words.extend((0..self.watchdogs).flat_map(|_| ["-device".into(), "i6300esb".into()]));
        words
    }

    fn board_words(&self, accelerator: Accelerator) -> Vec<OsString> {
        let board = match self.board {
            Board::Q35 => "q35",
            Board::Microvm => "microvm,acpi=on,rtc=on",
        };
        let cpu = match accelerator {
            Accelerator::Kvm => "host",
            Accelerator::Tcg => "max",
        };
        let fixed = "-nodefaults -no-user-config -display none -watchdog-action reset -smp 1";
        let mut words: Vec<OsString> = fixed.split(' ').map(Into::into).collect();
        words
            .extend(["-machine", board, "-accel", accelerator.name(), "-cpu", cpu].map(Into::into));
        words.extend(["-m".into(), format!("{}M", self.memory_mib).into()]);
        words
    }

    fn clock_words(&self) -> Vec<OsString> {
        let mut words = Vec::new();
        if self.clock == Clock::Instructions {
            words.extend(["-icount".into(), "shift=0,sleep=on".into()]);
        }
        if self.on_reset == OnReset::End {
            words.push("-no-reboot".into());
        }
        words
    }

    fn kernel_words(&self, accelerator: Accelerator) -> Vec<OsString> {
        let cmdline = format!("{}{}", self.cmdline, self.timer_options(accelerator));
        let mut words = vec!["-kernel".into(), self.kernel.clone().into_os_string()];
        words.extend(["-append".into(), cmdline.into()]);
        if let Some(initrd) = &self.initrd {
            words.extend(["-initrd".into(), initrd.clone().into_os_string()]);
        }
        words
    }

    /// Tells the kernel what it would find out by measuring, which fails where the host is busy and emulates: the counter's
    /// frequency, and that timers work.
    fn timer_options(&self, accelerator: Accelerator) -> String {
        let khz = match (accelerator, self.clock) {
            (Accelerator::Kvm, _) => return String::new(),
            (Accelerator::Tcg, Clock::Instructions) => Some(INSTRUCTION_TSC_KHZ),
            (Accelerator::Tcg, Clock::Host) => crate::accelerator::host_tsc_khz(),
        };
        let tsc = khz.map(|khz| format!(" tsc_early_khz={khz} tsc=reliable"));
        format!(" no_timer_check{}", tsc.unwrap_or_default())
    }

    fn console_words(&self, folder: &Path) -> Vec<OsString> {
        let console = match self.console {
            Console::Log => format!("file:{}", folder.join("console.log").display()),
            Console::Terminal => "mon:stdio".into(),
        };
        let monitor = format!("socket,id=qmp,path={}", folder.join("qmp").display());
        let words = ["-serial", &console, "-chardev", &monitor, "-mon", "chardev=qmp,mode=control"];
        words.map(Into::into).into()
    }

    fn port_words(&self, folder: &Path) -> Vec<OsString> {
        let mut words = vec!["-device".into(), self.virtio("virtio-serial").into()];
        for name in [report::PORT, agent::PORT] {
            let socket = folder.join(name);
            words.extend([
                "-chardev".into(),
                format!("socket,id={name},path={}", socket.display()).into(),
            ]);
            words.extend([
                "-device".into(),
                format!("virtserialport,chardev={name},name={name}").into(),
            ]);
        }
        words
    }

    fn disk_words(&self, number: usize, disk: &Disk) -> Vec<OsString> {
        let id = format!("disk{number}");
        let device = format!("{},drive={id}", self.virtio("virtio-blk"));
        ["-drive".into(), disk.drive(&id).into(), "-device".into(), device.into()].into()
    }

    fn network_words(&self) -> Vec<OsString> {
        let card = format!("{},netdev=net0", self.virtio("virtio-net"));
        match self.network {
            Network::None => Vec::new(),
            Network::User => {
                ["-netdev".into(), "user,id=net0".into(), "-device".into(), card.into()].into()
            }
        }
    }

    fn virtio(&self, device: &str) -> String {
        match self.board {
            Board::Q35 => format!("{device}-pci"),
            Board::Microvm => format!("{device}-device"),
        }
    }
}
