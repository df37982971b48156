//! What PID 1 listens to: signals, services, and the kernel's word on corrupt blocks. None of it blocks.

use pintle_mount::corruption::Corruption;
use pintle_sys::signals::{Received, Signals};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::process::Signal;

use crate::corruption_watch::CorruptionWatch;
use crate::notify::NotifySocket;
use crate::power::{How, RTMIN};
use crate::report::Report;

/// Which signal asks for what. SIGTERM, SIGUSR1 and SIGUSR2 are busybox' reboot, halt and poweroff; SIGINT is
/// ctrl-alt-del; the real-time ones are systemd's.
const REQUESTS: [(i32, How); 8] = [
    (Signal::TERM.as_raw(), How::Reboot),
    (Signal::INT.as_raw(), How::Reboot),
    (Signal::USR1.as_raw(), How::Halt),
    (Signal::USR2.as_raw(), How::PowerOff),
    (Signal::POWER.as_raw(), How::PowerOff),
    (RTMIN + 3, How::Halt),
    (RTMIN + 4, How::PowerOff),
    (RTMIN + 5, How::Reboot),
];

/// Everything that can wake PID 1, but for the children's pipes.
pub(crate) struct Senses {
    signals: Option<Signals>,
    notify: Option<NotifySocket>,
    corruption: CorruptionWatch,
}

impl Senses {
    /// Opens them all; PID 1 does without what does not open, and says so.
    pub(crate) fn open(report: &mut Report) -> Self {
        let mut numbers: Vec<_> = REQUESTS.iter().map(|(number, _)| *number).collect();
        numbers.push(Signal::CHILD.as_raw());
        Self {
            signals: or_alert(Signals::take_over(&numbers), "signals", report),
            notify: or_alert(NotifySocket::bind(), "notify socket", report),
            corruption: CorruptionWatch::open(report),
        }
    }

    /// What to wait on.
    pub(crate) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let signals = self.signals.iter().map(Signals::as_fd);
        let notify = self.notify.iter().map(NotifySocket::as_fd);
        let corruption = self.corruption.descriptors();
        signals.chain(notify).chain(corruption).collect()
    }

    /// The names of the services that have said that they are ready.
    pub(crate) fn ready_services(&self) -> Vec<String> {
        self.notify.as_ref().map(NotifySocket::ready).unwrap_or_default()
    }

    /// The corrupt blocks that the kernel has met since the last time.
    pub(crate) fn corruption(&mut self) -> Vec<Corruption> {
        self.corruption.heard()
    }

    /// The last request to go down, if there was one. SIGCHLD only wakes: children are waited for in any case.
    pub(crate) fn shutdown_request(&self) -> Option<How> {
        let signals = self.signals.as_ref()?;
        let received = std::iter::from_fn(|| signals.next().ok().flatten());
        received.filter_map(|signal| meaning(&signal)).last()
    }
}

fn meaning(signal: &Received) -> Option<How> {
    REQUESTS.iter().find(|(number, _)| *number == signal.number).map(|(_, how)| *how)
}

fn or_alert<T, E: std::fmt::Display>(
    opened: Result<T, E>,
    what: &str,
    report: &mut Report,
) -> Option<T> {
    opened.inspect_err(|error| report.alert(what, &error.to_string())).ok()
}
