//! The hardware watchdog, from stage 1 on: it resets the machine when PID 1 does not feed it.

use pintle_config::{Boot, Watchdog as Patience};
use pintle_sys::watchdog::Watchdog;

use crate::report::{Event, Report};
use crate::supervise::machine::Millis;

/// A watchdog that runs.
pub(crate) struct Guard {
    pub(crate) watchdog: Watchdog,
    /// After which it wants to be fed again.
    pub(crate) pause: Millis,
    fed: Fed,
}

/// How the last feeding went: that it went wrong is told once, and not at each turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fed {
    Well,
    Badly,
}

/// Starts the watchdog, or takes it over, where the configuration wants it and there is one.
pub(crate) fn start(boot: &Boot, report: &mut Report) -> Option<Guard> {
    let Patience::After(timeout) = boot.watchdog else { return None };
    let watchdog = Watchdog::open().ok()?;
    let seconds = u16::try_from(timeout.seconds()).unwrap_or(u16::MAX);
    let actual = watchdog.set_timeout(seconds).unwrap_or_else(|error| {
        report.alert("watchdog", &error.to_string());
        SHORTEST
    });
    let pause = Millis::from(actual.max(SHORTEST)).saturating_mul(1000) / 2;
    Some(Guard { watchdog, pause, fed: Fed::Well })
}

/// Seconds that every watchdog waits.
const SHORTEST: u16 = 2;

/// Says whether anybody would see the machine hang.
pub(crate) fn announce(guard: Option<&Guard>, report: &mut Report) {
    report.event(&Event::Watchdog { seconds: guard.map(|guard| guard.pause * 2 / 1000) });
}

impl Guard {
    /// Feeds it.
    pub(crate) fn feed(&mut self, report: &mut Report) {
        match (self.watchdog.keep_alive(), self.fed) {
            (Ok(()), _) => self.fed = Fed::Well,
            (Err(error), Fed::Well) => {
                report.alert("watchdog", &error.to_string());
                self.fed = Fed::Badly;
            }
            (Err(_), Fed::Badly) => {}
        }
    }
}
