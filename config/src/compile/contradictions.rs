//! What must hold between several keys.

use super::Context;
use super::diagnostic::Mistake;
use super::document::Section;
use super::tables::Tables;
use super::tree::{Access, why_not_executable};
use crate::boot::{Boot, Lock, Recovery};
use crate::service::{Essential, Kind, Restart, Service};
use crate::system::System;
use crate::update::{Insecure, Update};

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

/// The worker that speaks to registries is a program of its own, which an image need not have.
const FETCH: &str = "/usr/lib/pintle/pintle-fetch";

pub(super) fn in_image_with_update(section: &Section<'_>, cx: &mut Context<'_>) {
    if let Some(cause) = why_not_executable(cx.tree, FETCH) {
        let expected = format!("an image with pintle-fetch where [update] stands: {cause}");
        cx.report(Mistake::at(section.heading, "[update]", expected));
    }
}

pub(super) fn in_update(update: &Update, section: &Section<'_>, cx: &mut Context<'_>) {
    if update.stall_timeout.get() > update.total_timeout.get() {
        let found = format!("\"{}\"", update.stall_timeout);
        let expected = format!("at most total-timeout, \"{}\"", update.total_timeout);
        cx.report(Mistake::at(section.place("stall-timeout"), found, expected));
    }
    match update.insecure {
        Insecure::Yes => refuse_credentials(update, section, cx),
        Insecure::No => require_certificates(update, section, cx),
    }
}

fn refuse_credentials(update: &Update, section: &Section<'_>, cx: &mut Context<'_>) {
    if update.credentials.is_some() {
        let expected =
            "no credentials where insecure is true: everybody on the way could read them";
        cx.report(Mistake::at(section.place("credentials"), "a file of passwords", expected));
    }
}

fn require_certificates(update: &Update, section: &Section<'_>, cx: &mut Context<'_>) {
    let cause = match cx.tree.access(update.ca.as_str()) {
        Access::NotExecutable | Access::Executable => return,
        Access::Missing => "which is not in the image",
        Access::NotAFile => "which is not a file",
    };
    let found = format!("ca = \"{}\", {cause}", update.ca);
    cx.report(Mistake::at(section.place("ca"), found, "a file of certificates in the image"));
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
