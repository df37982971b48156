//! When nothing boots: the reason on the console for a while, then what the boot configuration says.

use std::fmt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use pintle_config::{Boot, Lock, PortName, Recovery, Watchdog as Patience};
use pintle_mount::feeding::FEEDING;
use pintle_mount::teardown;
use pintle_sys::watchdog::Watchdog;

use crate::new_root::NEW_ROOT;
use crate::power::{self, How};
use crate::report::{Event, Report};
use crate::shell;
use crate::stages::feed;
use crate::store::STATE;

/// What follows when nothing boots. Until the boot configuration is known it is a reboot.
#[derive(Clone, Debug)]
pub(crate) struct LastResort {
    recovery: Recovery,
    delay: Duration,
    lock: Lock,
    watchdog: Patience,
    report: Option<PortName>,
}

impl Default for LastResort {
    fn default() -> Self {
        Self {
            recovery: Recovery::Reboot,
            delay: Duration::from_secs(10),
            lock: Lock::Locked,
            watchdog: Patience::Off,
            report: None,
        }
    }
}

impl LastResort {
    /// Takes the policy from the boot configuration.
    pub(crate) fn learn(&mut self, boot: &Boot) {
        let delay = boot.recovery_delay.duration();
        let Boot { recovery, lock, watchdog, .. } = *boot;
        *self = Self { recovery, delay, lock, watchdog, report: boot.report.clone() };
    }

    /// A locked machine never gives a shell, whatever its configuration says.
    fn action(&self) -> Recovery {
        match (self.recovery, self.lock) {
            (Recovery::Shell, Lock::Locked) => Recovery::Reboot,
            (action, _) => action,
        }
    }

    /// The watchdog that stage 1 has started, where it has; to open another one would start it.
    fn watchdog(&self) -> Option<Watchdog> {
        match self.watchdog {
            Patience::Off => None,
            Patience::After(_) => Watchdog::open().ok(),
        }
    }
}

/// Reports the failure and does what the policy says.
pub(crate) fn recover(policy: &LastResort, failure: &impl fmt::Display, report: &mut Report) -> ! {
    if let Some(port) = &policy.report {
        report.connect(port.as_str(), 0);
    }
    report.alert("boot", &failure.to_string());
    let action = policy.action();
    let seconds = policy.delay.as_secs();
    report.event(&Event::Recovery { action: action.as_str(), seconds });
    let watchdog = policy.watchdog();
    show_reason(policy.delay, watchdog.as_ref());
    let_go_of_state(watchdog.as_ref(), report);
    match action {
        Recovery::Reboot => power::reset(How::Reboot),
        Recovery::Halt => {
            disarm(watchdog, report);
            power::reset(How::Halt)
        }
        Recovery::PowerOff => {
            disarm(watchdog, report);
            power::reset(How::PowerOff)
        }
        // Fed and not disarmed, which a driver may not allow: it must not end what a person does there.
        Recovery::Shell => shell(watchdog.as_ref(), report),
    }
}

/// The watchdog is no hurry: people need the time to read.
fn show_reason(delay: Duration, watchdog: Option<&Watchdog>) {
    let begun = Instant::now();
    while let Some(left) = delay.checked_sub(begun.elapsed()) {
        feed(watchdog);
        sleep(left.min(FEEDING));
    }
}

/// What was counted and repaired is on the disk, and the file system clean.
fn let_go_of_state(watchdog: Option<&Watchdog>, report: &mut Report) {
    let places = [Path::new(NEW_ROOT), Path::new(STATE)];
    let leftovers = teardown::take_down_only(&places, power::STEP_LIMIT, &mut || feed(watchdog));
    for leftover in leftovers {
        report.alert("recovery", &leftover.to_string());
    }
}

/// A watchdog would start again what shall stand still.
fn disarm(watchdog: Option<Watchdog>, report: &mut Report) {
    if let Some(Err(error)) = watchdog.map(Watchdog::disarm) {
        report.alert("watchdog", &error.to_string());
    }
}

/// Gives the console to the shell that the initramfs carries; when it ends, or there is none, the machine reboots.
fn shell(watchdog: Option<&Watchdog>, report: &mut Report) -> ! {
    if let Err(error) = shell::run_to_its_end(&mut || feed(watchdog)) {
        report.alert("recovery shell", &error.to_string());
    }
    power::reset(How::Reboot)
}
