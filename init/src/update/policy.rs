//! The table `[update]`, as the schedule takes it.

use std::time::Duration;

use pintle_config::{RebootPolicy, TimeZone, Update, UpdateMode};
use pintle_update::schedule::{Calendar, MachineId, Mode, Policy, Reboots, Window, Zone};

/// The machine's own time zone.
const LOCALTIME: &str = "/etc/localtime";

/// What the configuration says for this machine.
pub(crate) fn of(settings: &Update, machine: MachineId) -> Policy {
    Policy {
        machine,
        mode: match settings.mode {
            UpdateMode::Apply => Mode::Apply,
            UpdateMode::Download => Mode::Download,
            UpdateMode::Check => Mode::Check,
            UpdateMode::Off => Mode::Off,
        },
        reboots: match settings.reboot {
            RebootPolicy::Window => Reboots::Window,
            RebootPolicy::Never => Reboots::Never,
        },
        interval: Duration::from_millis(settings.interval.get()),
        delay: Duration::from_millis(settings.delay.get()),
        grace: Duration::from_millis(settings.grace.get()),
        calendar: calendar(settings),
        metered: settings.metered_limit.map(|limit| limit.get()),
    }
}

fn calendar(settings: &Update) -> Calendar {
    let windows = settings.window.iter().map(|window| Window {
        days: window.days(),
        opens: window.opens(),
        length: window.length(),
    });
    Calendar::new(zone(&settings.time_zone), windows.collect())
}

/// A rule that this program does not understand was checked by another one: then clocks show UTC.
fn zone(configured: &TimeZone) -> Zone {
    match configured {
        TimeZone::Rule(rule) => rule.as_str().parse().unwrap_or(Zone::UTC),
        TimeZone::Local => {
            let file = std::fs::read(LOCALTIME).ok();
            file.and_then(|bytes| Zone::of_tzif(&bytes)).unwrap_or(Zone::UTC)
        }
    }
}
