//! The tables of a system configuration, which may stand in several files and layers.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::Context;
use super::diagnostic::{Mistake, Place};
use super::document::{Document, Node, Section, quote};

/// The tables that stand in all layers together.
pub(super) struct Tables<'d> {
    /// `[system]`
    pub(super) system: Section<'d>,
    /// Each `[service.NAME]`, in the order of the text.
    pub(super) services: Vec<(&'d str, Section<'d>)>,
}

impl<'d> Tables<'d> {
    /// Each layer sets keys of the earlier ones anew.
    pub(super) fn merged(layers: &'d [Vec<Document<'_>>], cx: &mut Context<'_>) -> Self {
        let mut merged = Sections::new();
        for layer in layers {
            for (name, section) in collect(layer, cx) {
                match merged.entry(name) {
                    Entry::Vacant(vacant) => {
                        vacant.insert(section);
                    }
                    Entry::Occupied(mut earlier) => earlier.get_mut().override_with(section),
                }
            }
        }
        Self::from(merged)
    }

    /// The section of a service.
    pub(super) fn service(&self, name: &str) -> Option<&Section<'d>> {
        self.services.iter().find(|(other, _)| *other == name).map(|(_, section)| section)
    }

    fn from(mut sections: Sections<'d>) -> Self {
        let system = sections.remove(&None).unwrap_or_else(|| Section::absent(&title(None)));
        let mut services: Vec<_> =
            sections.into_iter().filter_map(|(name, section)| Some((name?, section))).collect();
        services.sort_by_key(|(_, section)| section.heading);
        Self { system, services }
    }
}

/// The sections by the service's name, `[system]` without one.
type Sections<'d> = BTreeMap<Option<&'d str>, Section<'d>>;

/// The tables of one layer, in which each stands once.
fn collect<'d>(layer: &'d [Document<'_>], cx: &mut Context<'_>) -> Sections<'d> {
    let mut sections = Sections::new();
    for (key, place, node) in layer.iter().flat_map(Document::keys) {
        match (key, node.keys()) {
            ("system", _) => add(&mut sections, None, (place, node), cx),
            ("service", Some(services)) => {
                for (name, place, node) in services {
                    add(&mut sections, Some(name), (place, node), cx);
                }
            }
            ("service", None) => cx.report(not_a_table(place, node)),
            _ => cx.report(unknown_table(key, place)),
        }
    }
    sections
}

fn add<'d>(
    sections: &mut Sections<'d>,
    name: Option<&'d str>,
    (place, node): (Place, Node<'d>),
    cx: &mut Context<'_>,
) {
    let Some(section) = Section::of(title(name), place, node) else {
        return cx.report(not_a_table(place, node));
    };
    match sections.entry(name) {
        Entry::Vacant(vacant) => {
            vacant.insert(section);
        }
        Entry::Occupied(first) => {
            let expected =
                format!("each table once; the first is at {}", cx.show(first.get().heading));
            cx.report(Mistake::at(place, format!("a second {}", title(name)), expected));
        }
    }
}

fn title(name: Option<&str>) -> String {
    name.map_or("[system]".to_owned(), |name| format!("[service.{}]", name.escape_debug()))
}

fn not_a_table(place: Place, node: Node<'_>) -> Mistake {
    Mistake::at(place, node.describe(), "a table: [system] or [service.NAME]")
}

fn unknown_table(key: &str, place: Place) -> Mistake {
    let suggestion = super::suggest::nearest(key, ["system", "service"]);
    Mistake::at(place, format!("unknown key {}", quote(key)), "[system] or [service.NAME]")
        .suggest(suggestion)
}
