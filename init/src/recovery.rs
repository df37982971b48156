//! When nothing boots: the reason on the console for a while, then what the boot configuration says.

use std::ffi::CString;
use std::fmt;
use std::thread::sleep;
use std::time::Duration;

use pintle_config::{Boot, Lock, Recovery};
use pintle_sys::exec;
use pintle_sys::spawn::StringArray;

use crate::power::{self, How};
use crate::report::{Event, Report};

/// What follows when nothing boots. Until the boot configuration is known it is a reboot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastResort {
    recovery: Recovery,
    delay: Duration,
    lock: Lock,
}

impl Default for LastResort {
    fn default() -> Self {
        Self { recovery: Recovery::Reboot, delay: Duration::from_secs(10), lock: Lock::Locked }
    }
}

impl LastResort {
    /// Takes the policy from the boot configuration.
    pub(crate) fn learn(&mut self, boot: &Boot) {
        let delay = boot.recovery_delay.duration();
        *self = Self { recovery: boot.recovery, delay, lock: boot.lock };
    }
}

/// Reports the failure and does what the policy says.
pub(crate) fn recover(policy: &LastResort, failure: &impl fmt::Display, report: &mut Report) -> ! {
    report.alert("boot", &failure.to_string());
    report.event(&Event::Recovery { action: policy.recovery.as_str() });
    sleep(policy.delay);
    match (policy.recovery, policy.lock) {
        (Recovery::Shell, Lock::Unlocked) => shell(report),
        // A locked machine never gives a shell, whatever its configuration says.
        (Recovery::Reboot, _) | (Recovery::Shell, Lock::Locked) => power::reset(How::Reboot),
        (Recovery::Halt, _) => power::reset(How::Halt),
        (Recovery::PowerOff, _) => power::reset(How::PowerOff),
    }
}

/// Becomes the shell that the initramfs carries; without one the machine reboots.
fn shell(report: &mut Report) -> ! {
    let words = |words: &[&str]| {
        StringArray::new(words.iter().filter_map(|word| CString::new(*word).ok()).collect())
    };
    let error =
        exec::replace(c"/bin/sh", &words(&["sh"]), &words(&["PATH=/bin:/sbin", "TERM=linux"]));
    report.alert("recovery shell", &error.to_string());
    power::reset(How::Reboot)
}
