//! TOML text to checked values: every mistake at once, each with its place.
//!
//! A text goes through four steps, a file each: `document` finds the tables and keys with their
//! places, `read` makes a value of each key, `order` sorts the services, and what must hold between
//! several keys is checked here.

mod accounts;
mod context;
mod contradictions;
mod diagnostic;
mod document;
mod key;
mod order;
mod read;
mod suggest;
mod tables;
mod tree;
mod zone;

use crate::Value;
use crate::boot::Boot;
use crate::name::ServiceName;
use crate::service::Service;
use crate::system::System;
use crate::update::Update;
use crate::wire;

pub(crate) use context::Context;
pub use diagnostic::Diagnostic;
use diagnostic::{Mistake, Place};
use document::Document;
pub(crate) use document::Section;
pub(crate) use key::{Default, Key};
pub(crate) use read::FromToml;
use tables::Tables;
pub use tree::{Access, Tree, Unchecked};

/// A file's path, as diagnostics name it, and its text.
pub type File<'a> = (&'a str, &'a str);

/// The service that `[update]` brings, beneath all other layers.
const UPDATER: File<'static> = ("updater.toml", include_str!("compile/updater.toml"));

/// The longest text of one file: a service needs about 200 bytes, and [`System::SERVICES_MAX`] of
/// them fit many times over.
pub const TEXT_MAX: usize = 1 << 20;

/// Compiles an image's `/usr/lib/pintle/*.toml`.
///
/// `tree` is the image that the commands, users and groups are looked up in. Services keep the order
/// of `files` and of the text where their dependencies allow it.
pub fn system(files: &[File<'_>], tree: &dyn Tree) -> Result<System, Vec<Diagnostic>> {
    layers(&[files], tree)
}

/// Compiles several layers, of which each may set keys anew: the image's files, then `/etc/pintle`'s.
///
/// Within a layer each table stands once.
pub fn layers(layers: &[&[File<'_>]], tree: &dyn Tree) -> Result<System, Vec<Diagnostic>> {
    let mut files = layers.concat();
    files.push(UPDATER);
    let mut cx = Context::new(files, tree);
    let system = read_system(layers, &mut cx);
    cx.finish(system)
}

/// Compiles a `boot.toml`.
pub fn boot(path: &str, text: &str) -> Result<Boot, Vec<Diagnostic>> {
    let mut cx = Context::new(vec![(path, text)], &Unchecked);
    let document = Document::parse(0, text, &mut cx);
    let section = document.whole();
    let boot = Boot::read(&section, &mut cx);
    if let Some(boot) = &boot {
        contradictions::in_boot(boot, &section, &mut cx);
    }
    cx.finish(boot)
}

/// The text of a file, if it is UTF-8.
pub fn utf8<'a>(path: &str, bytes: &'a [u8]) -> Result<&'a str, Diagnostic> {
    std::str::from_utf8(bytes).map_err(|error| {
        let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
        Diagnostic::not_utf8(path, &String::from_utf8_lossy(good))
    })
}

fn read_system(layers: &[&[File<'_>]], cx: &mut Context<'_>) -> Option<System> {
    let mut documents = parse(layers, cx);
    if tables::updates_itself(&documents) {
        let (number, (_, text)) = (layers.concat().len(), UPDATER);
        documents.insert(0, vec![Document::parse(number, text, cx)]);
    }
    let tables = Tables::merged(&documents, cx);
    let services = read_services(&tables, cx);
    order::refuse_cycles(cx);
    let update = read_update(&tables, cx);
    let system = System::read(&tables.system, cx, Some(Vec::new()), update);
    let system = System { services: order::sorted(services?)?, ..system? };
    contradictions::in_system(&system, &tables, cx);
    refuse_too_long(&system, tables.system.heading, cx);
    Some(system)
}

fn parse<'a>(layers: &[&[File<'a>]], cx: &mut Context<'_>) -> Vec<Vec<Document<'a>>> {
    let mut number = 0..;
    let mut document = |(_, text): &File<'a>| Some(Document::parse(number.next()?, text, cx));
    layers.iter().map(|files| files.iter().filter_map(&mut document).collect()).collect()
}

/// `None` is a mistake, `Some(None)` an image without the table.
fn read_update(tables: &Tables<'_>, cx: &mut Context<'_>) -> Option<Option<Update>> {
    let Some(section) = &tables.update else { return Some(None) };
    contradictions::in_image_with_update(section, cx);
    let update = Update::read(section, cx)?;
    contradictions::in_update(&update, section, cx);
    Some(Some(update))
}

/// Reads all services, so that every mistake is reported.
fn read_services(tables: &Tables<'_>, cx: &mut Context<'_>) -> Option<Vec<Service>> {
    if let Some((_, section)) = tables.services.get(System::SERVICES_MAX) {
        let found = format!("{} services", tables.services.len());
        let expected = format!("at most {}", System::SERVICES_MAX);
        cx.report(Mistake::at(section.heading, found, expected));
        return None;
    }
    cx.services = tables.services.iter().map(|(name, _)| (*name).to_owned()).collect();
    let numbered = tables.services.iter().enumerate();
    let services: Vec<Option<Service>> = numbered
        .map(|(number, (name, section))| read_service((number, name), section, cx))
        .collect();
    services.into_iter().collect()
}

fn read_service(
    (number, name): (usize, &str),
    section: &Section<'_>,
    cx: &mut Context<'_>,
) -> Option<Service> {
    cx.reading = number;
    let good = ServiceName::from_text(name);
    if good.is_none() {
        cx.report(Mistake::at(
            section.heading,
            document::quote(name),
            <ServiceName as Value>::expected(),
        ));
    }
    let service = Service::read(section, cx, good)?;
    contradictions::in_service(&service, section, cx);
    Some(service)
}

fn refuse_too_long(system: &System, place: Place, cx: &mut Context<'_>) {
    if let Err(wire::Error::TooLong { length, limit, .. }) = system.to_bytes() {
        let found = format!("a configuration that compiles to {length} bytes");
        cx.report(Mistake::at(place, found, format!("at most {limit}")));
    }
}
