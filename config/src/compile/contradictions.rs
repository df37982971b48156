//! What must hold between several keys.

use super::Context;
use super::diagnostic::Mistake;
use super::document::Section;
use super::tables::Tables;
use crate::boot::{Boot, Lock, Recovery};
use crate::service::{Essential, Kind, Restart, Service};
use crate::system::System;

pub(super) fn in_boot(boot: &Boot, section: &Section<'_>, cx: &mut Context<'_>) {
    if (boot.lock, boot.recovery) == (Lock::Locked, Recovery::Shell) {
        let expected = "another recovery where lock is \"locked\"";
        cx.report(Mistake::at(section.place("recovery"), "\"shell\"", expected));
    }
}

pub(super) fn in_service(service: &Service, section: &Section<'_>, cx: &mut Context<'_>) {
    if (service.kind, service.restart) == (Kind::Oneshot, Restart::Always) {
        let expected = "\"never\" or \"on-failure\" where type is \"oneshot\"";
        cx.report(Mistake::at(section.place("restart"), "\"always\"", expected));
    }
    if service.restart_delay > service.restart_delay_max {
        let found = format!("\"{}\"", service.restart_delay);
        let expected = format!("at most restart-delay-max, \"{}\"", service.restart_delay_max);
        cx.report(Mistake::at(section.place("restart-delay"), found, expected));
    }
}

pub(super) fn in_system(system: &System, tables: &Tables<'_>, cx: &mut Context<'_>) {
    if system.init.is_some() && !system.services.is_empty() {
        let expected = "an image without [service.NAME]: the other init starts its own services";
        cx.report(Mistake::at(tables.system.place("init"), "another init", expected));
    }
    for (service, started) in system.services.iter().zip(system.started_at_boot()) {
        let Some(section) = tables.service(service.name.as_str()) else { continue };
        if (service.essential, started) == (Essential::Yes, false) {
            let expected = "a service that is started at boot";
            cx.report(Mistake::at(section.place("essential"), "an essential service", expected));
        }
        if service.stop_timeout.get() > system.shutdown_timeout.get() {
            let found = format!("\"{}\"", service.stop_timeout);
            let expected = format!("at most shutdown-timeout, \"{}\"", system.shutdown_timeout);
            cx.report(Mistake::at(section.place("stop-timeout"), found, expected));
        }
    }
}
