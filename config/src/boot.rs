//! The boot configuration: what stage 1 does, compiled into the initramfs.

use std::fmt;

use crate::Value;
use crate::cmdline::Overrides;
use crate::device::DeviceSpec;
use crate::duration::{HOUR, Millis, SECOND};
use crate::integer::Whole;
use crate::name::{ImageId, ModuleName, PortName};
use crate::system::{EtcMode, HealthTimeout, MinReady, System};
use crate::wire::{self, Error, Format};

table! {
    /// What a machine does until its root is mounted, and what it insists on: `boot.toml`.
    pub struct Boot {
        given {}
        keys {
            /// The id of the images that the machine boots: os-release's `IMAGE_ID`.
            ///
            /// An image with another id is refused, whoever signed it.
            "image-id" = (required; "org.example.kiosk") => image_id: ImageId,

            /// Whether the owner of the machine may change what it runs.
            "lock" = "locked" => lock: Lock,

            /// The device with the state partition.
            "state" = "LABEL=pintle-state" => state: DeviceSpec,

            /// How long to wait for the state device to appear.
            "state-timeout" = "30s" => state_timeout: StateTimeout,

            /// What checks the image's blocks.
            "verity" = "auto" => verity: VerityWay,

            /// Where changes in `/etc` are kept.
            "etc" = "image" => etc: EtcPolicy,

            /// How often a new image is tried before the machine falls back to an older one.
            "tries" = 3 => tries: Tries,

            /// What happens when a block of the running image turns out to be changed.
            ///
            /// In every case it is reported, and the process that read the block gets an I/O error.
            "on-corruption" = "reboot" => on_corruption: OnCorruption,

            /// What happens when no image boots.
            "recovery" = "reboot" => recovery: Recovery,

            /// How long the reason stands on the console before `recovery` takes place.
            "recovery-delay" = "10s" => recovery_delay: RecoveryDelay,

            /// The hardware watchdog: the machine is reset when it hangs for so long.
            ///
            /// `"off"` leaves the watchdog alone. Where the hardware cannot count so far, half of the
            /// time is tried, then half of that, and so on.
            "watchdog" = "30s" => watchdog: Watchdog,

            /// How long a new image may take until it is healthy, unless the image says so itself.
            "health-timeout" = "5min" => health_timeout: HealthTimeout,

            /// How long everything essential must have been ready, without a break, until a new image is
            /// healthy, unless the image says so itself.
            "min-ready" = "5s" => min_ready: MinReady,

            /// How long after a panic the kernel reboots: `kernel.panic`, in whole seconds.
            "panic-timeout" = "10s" => panic_timeout: PanicTimeout,

            /// The virtio port that the machine's report is also written to.
            ///
            /// The report is always in `/run/pintle/report.jsonl`.
            "report" = (none; "org.pintle.report") => report: Option<PortName>,

            /// How much of the report the kernel log gets too, and with it the console.
            "log" = "info" => log: LogLevel,

            /// Kernel modules that are loaded beside those that the devices and the mounts need.
            "modules" = [] => modules: Vec<ModuleName>,
        }
    }
}

choice! {
    /// Whether the owner of a machine may change what it runs.
    pub enum Lock as String {
        /// Only images that the machine's keys signed are booted, nobody gets a shell before the
        /// root is mounted, and no kernel command line option can weaken anything.
        Locked = "locked",
        /// Every kernel command line option holds, and a shell may stand in for recovery.
        Unlocked = "unlocked",
    }
}

choice! {
    /// What checks the image's blocks as the kernel reads them.
    pub enum VerityWay as String {
        /// fs-verity where the kernel and the state file system have it, else dm-verity.
        Auto = "auto",
        /// dm-verity over a loop device.
        Dm = "dm",
        /// fs-verity and EROFS mounted from the file, from Linux 6.12 on.
        Fs = "fs",
    }
}

choice! {
    /// Where changes in `/etc` are kept, as far as the machine and not the image decides it.
    pub enum EtcPolicy as String {
        /// As the image's `[system]` says.
        Image = "image",
        /// On the state partition, until a factory reset.
        Persistent = "persistent",
        /// In memory, until the next boot.
        Transient = "transient",
    }
}

choice! {
    /// What happens when a block of the running image turns out to be changed.
    pub enum OnCorruption as String {
        /// It is reported.
        Alert = "alert",
        /// All services are started again, since the kernel does not say who has read the block;
        /// from the sixth time in one run on, it is as with `reboot`.
        RestartService = "restart-service",
        /// The image is put on trial again, and the machine reboots.
        Reboot = "reboot",
        /// All services are stopped, and the machine is powered off.
        Stop = "stop",
    }
}

choice! {
    /// What happens when no image boots.
    pub enum Recovery as String {
        /// The machine reboots, and tries again.
        Reboot = "reboot",
        /// The machine halts, with the reason on the console.
        Halt = "halt",
        /// The machine is powered off.
        PowerOff = "power-off",
        /// A root shell on the console; only on an unlocked machine.
        Shell = "shell",
    }
}

choice! {
    /// The least important messages that are shown.
    pub enum LogLevel as String {
        /// What went wrong.
        Error = "error",
        /// What may be wrong too.
        Warn = "warn",
        /// Each step as well.
        Info = "info",
    }
}

/// The hardware watchdog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Watchdog {
    /// It is left alone.
    Off,
    /// It resets the machine after this time without a sign of life.
    After(WatchdogTimeout),
}

/// Discs may need a minute to appear; after an hour nobody waits any more.
pub type StateTimeout = Millis<0, HOUR>;
/// One digit, because an entry's name has a fixed width.
pub type Tries = Whole<1, 9>;
/// Less than a second reboots faster than the console shows why.
pub type RecoveryDelay = Millis<SECOND, HOUR>;
/// PID 1 gives a sign of life at half the time; watchdogs count in seconds.
pub type WatchdogTimeout = Millis<{ 2 * SECOND }, HOUR>;
/// `kernel.panic` counts in seconds, and zero would wait for ever.
pub type PanicTimeout = Millis<SECOND, HOUR>;

impl fmt::Display for Watchdog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::After(timeout) => timeout.fmt(f),
        }
    }
}

impl Value for Watchdog {
    fn expected() -> String {
        format!("\"off\" or {}", WatchdogTimeout::expected())
    }

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "off" => Some(Self::Off),
            _ => WatchdogTimeout::from_text(text).map(Self::After),
        }
    }
}

impl Boot {
    /// Far more than the keys can need, and little enough to be read before anything is known.
    pub const BYTES_MAX: usize = 16 * 1024;

    /// This configuration with what the kernel command line says in its place.
    ///
    /// What a locked machine must not take over, [`cmdline::parse`](crate::cmdline::parse) has left
    /// out.
    pub fn with(self, overrides: &Overrides) -> Self {
        let given = overrides.clone();
        Self {
            state: given.state.unwrap_or(self.state),
            state_timeout: given.state_timeout.unwrap_or(self.state_timeout),
            verity: given.verity.unwrap_or(self.verity),
            etc: given.etc.unwrap_or(self.etc),
            on_corruption: given.on_corruption.unwrap_or(self.on_corruption),
            recovery: given.recovery.unwrap_or(self.recovery),
            watchdog: given.watchdog.unwrap_or(self.watchdog),
            report: given.report.or(self.report),
            log: given.log.unwrap_or(self.log),
            ..self
        }
    }

    /// Where changes in `/etc` are kept while `system` runs.
    pub fn etc_mode(&self, system: &System) -> EtcMode {
        match self.etc {
            EtcPolicy::Image => system.etc,
            EtcPolicy::Persistent => EtcMode::Persistent,
            EtcPolicy::Transient => EtcMode::Transient,
        }
    }

    /// How long `system` may take until it is healthy.
    pub fn health_timeout(&self, system: &System) -> HealthTimeout {
        system.health_timeout.unwrap_or(self.health_timeout)
    }

    /// How long `system` must be ready until it is healthy.
    pub fn min_ready(&self, system: &System) -> MinReady {
        system.min_ready.unwrap_or(self.min_ready)
    }

    /// The bytes of `boot.bin`.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        self.check()?;
        wire::encode(&FORMAT, self)
    }

    /// The boot configuration in `bytes`; whatever the bytes are, this ends and does not panic.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let boot: Self = wire::decode(&FORMAT, bytes)?;
        boot.check()?;
        Ok(boot)
    }

    fn check(&self) -> Result<(), Error> {
        match (self.lock, self.recovery) {
            (Lock::Locked, Recovery::Shell) => {
                Err(FORMAT.contradiction("a locked machine gives no recovery shell"))
            }
            _ => Ok(()),
        }
    }
}

const FORMAT: Format = Format { what: "boot.bin", version: 2, bytes_max: Boot::BYTES_MAX };

#[cfg(all(test, feature = "compile"))]
mod tests {
    use super::*;
    use crate::compile;

    #[test]
    fn a_recovery_shell_on_a_locked_machine_is_neither_written_nor_read() {
        let locked = compile::boot("boot.toml", "image-id = \"x\"").unwrap();
        let shell = Boot { recovery: Recovery::Shell, ..locked };
        let read = Boot::from_bytes(&wire::encode(&FORMAT, &shell).unwrap());
        let refused = FORMAT.contradiction("a locked machine gives no recovery shell");
        assert_eq!((shell.to_bytes(), read), (Err(refused.clone()), Err(refused)));
        let unlocked = Boot { lock: Lock::Unlocked, ..shell };
        assert!(unlocked.to_bytes().is_ok());
    }
}
