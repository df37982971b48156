//! The end: everything ended and unmounted, then the power. Each step is given up on when it takes too long: a machine that
//! cannot be shut down cleanly is still to be shut down.

use std::thread::sleep;
use std::time::Duration;

use pintle_mount::feeding::wait_within;
use pintle_mount::teardown;
use pintle_sys::signals::kill_everything;
use pintle_sys::spawn::fork;
use pintle_sys::watchdog::Watchdog;
use rustix::system::{RebootCommand, reboot};

use crate::report::Report;

/// For one unmount, or for a sync, on a disk that is slow and not broken.
pub(crate) const STEP_LIMIT: Duration = Duration::from_secs(5);

/// `SIGRTMIN` of the C library; systemd's tools and container managers count from there.
pub(crate) const RTMIN: i32 = 34;

/// How the machine goes down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum How {
    Reboot,
    PowerOff,
    Halt,
}

impl How {
    /// For people and programs.
    pub(crate) fn word(self) -> &'static str {
        match self {
            How::Reboot => "reboot",
            How::PowerOff => "poweroff",
            How::Halt => "halt",
        }
    }

    /// The signal that asks PID 1 for it; systemd, which may be PID 1 on our root, understands the same.
    pub(crate) fn signal(self) -> i32 {
        match self {
            How::Halt => RTMIN + 3,
            How::PowerOff => RTMIN + 4,
            How::Reboot => RTMIN + 5,
        }
    }

    fn command(self) -> RebootCommand {
        match self {
            How::Reboot => RebootCommand::Restart,
            How::PowerOff => RebootCommand::PowerOff,
            How::Halt => RebootCommand::Halt,
        }
    }
}

/// Ends what still runs, unmounts everything, and goes down.
pub(crate) fn go_down(how: How, watchdog: Option<Watchdog>, report: &mut Report) -> ! {
    let mut feed = || {
        if let Some(Err(error)) = watchdog.as_ref().map(Watchdog::keep_alive) {
            report.alert("watchdog", &error.to_string());
        }
    };
    end_all_processes(&mut feed);
    let left = teardown::leave_root();
    let synced = teardown::sync_within(STEP_LIMIT, &mut feed);
    let leftovers = teardown::take_down(STEP_LIMIT, &mut feed);
    for error in [left.map_err(|e| e.to_string()), synced.map_err(|e| e.to_string())] {
        error.unwrap_or_else(|error| report.alert("shutdown", &error));
    }
    for leftover in &leftovers {
        report.alert("shutdown", &leftover.to_string());
    }
    disarm_unless_rebooting(how, watchdog);
    reset(how)
}

/// Goes down at once. A child does it, because the call ends its caller where the hardware does not do what it should; if
/// it returns, the watchdog, or a person, is what is left.
pub(crate) fn reset(how: How) -> ! {
    loop {
        let command = || reboot(how.command());
        if fork(|| u8::from(command().is_err())).is_err() {
            command().unwrap_or_default();
        }
        sleep(STEP_LIMIT);
    }
}

/// From a child, because a signal for every process can block on one of them; it spares itself and PID 1.
fn end_all_processes(feed: &mut dyn FnMut()) {
    let ended = fork(|| {
        // That there is nothing left to kill is an error to the kernel only.
        u8::from(kill_everything().is_err())
    });
    ended.and_then(|child| wait_within(&child, STEP_LIMIT, feed)).unwrap_or_default();
}

/// A watchdog guards a reboot to its end; a machine that shall stand still is to be let.
fn disarm_unless_rebooting(how: How, watchdog: Option<Watchdog>) {
    match how {
        How::Reboot => {}
        How::PowerOff | How::Halt => drop(watchdog.map(Watchdog::disarm)),
    }
}
