//! Stage 1: the boot, on one page.
//!
//! Each stage is a verb on a noun, and beside it stands what its failure means: `?` gives the boot up, and the recovery
//! policy decides; `.or_alert(report)` goes on without. What goes wrong with an entry is that entry's alone: the next one is
//! tried, inside [`boot_first_that_works`].

use std::convert::Infallible;

use crate::candidates::{Candidates, boot_first_that_works};
use crate::initramfs::Initramfs;
use crate::last_report;
use crate::recovery::{self, LastResort};
use crate::report::Report;
use crate::stage2;
use crate::stages::{
    self, Failure, OrAlert, Place, connect_report, finish_reset, hand_over_keys, judge_last_run,
    listen_to_the_kernel, load_modules, mount_kernel_file_systems, mount_state, obey_command_line,
    offer_shell, open_report, open_store, read_initramfs, set_panic_timeout, start_watchdog,
    wait_for_state,
};

/// Boots the machine as PID 1, in the initramfs or after it.
pub(crate) fn start() -> ! {
    match stages::place() {
        Place::Root => stage2::resume(),
        Place::Initramfs => {
            let (mut report, mut last_resort) = (Report::default(), LastResort::default());
            let Err(failure) = boot(&mut report, &mut last_resort);
            recovery::recover(&last_resort, &failure, &mut report)
        }
    }
}

fn boot(report: &mut Report, last_resort: &mut LastResort) -> Result<Infallible, Failure> {
    mount_kernel_file_systems()?;
    open_report(report);
    let initramfs = read_initramfs()?;
    let settings = obey_command_line(&initramfs.boot, report);
    last_resort.learn(&settings.boot);
    set_panic_timeout(&settings.boot).or_alert(report);
    let uevents = listen_to_the_kernel()?;
    let mut modules = load_modules(&initramfs.modules, report);
    connect_report(&settings.boot, report);
    let device = wait_for_state(&settings.boot, &mut modules, &uevents, report)?;
    connect_report(&settings.boot, report);
    let watchdog = start_watchdog(&settings.boot, report);
    let verity = mount_state(&device, watchdog.as_ref(), report)?;
    last_report::announce(report);
    let store = open_store(&settings.boot, report)?;
    finish_reset(report).or_alert(report);
    judge_last_run(&store, watchdog.as_ref(), report).or_alert(report);
    offer_shell(&settings, watchdog.as_ref()).or_alert(report);
    hand_over_keys(&initramfs.key_bytes).or_alert(report);
    let Initramfs { keys, modules: table, .. } = &initramfs;
    boot_first_that_works(Candidates {
        settings,
        keys,
        store,
        verity,
        table,
        modules,
        watchdog,
        report,
        refused: Vec::new(),
    })
}
