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
    /// `[update]`, where it stands.
    pub(super) update: Option<Section<'d>>,
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
        let system = sections.remove(&Heading::System);
        let system = system.unwrap_or_else(|| Section::absent(&Heading::System.title()));
        let update = sections.remove(&Heading::Update);
        let mut services: Vec<_> = sections.into_iter().filter_map(service).collect();
        services.sort_by_key(|(_, section)| section.heading);
        Self { system, update, services }
    }
}

/// Whether an image follows a tag, and under this init: another one has its own way to start services.
pub(super) fn updates_itself(layers: &[Vec<Document<'_>>]) -> bool {
    let stands = |table: &str, key: Option<&str>| {
        layers.iter().flatten().flat_map(Document::keys).any(|(name, _, node)| {
            let has =
                |key| node.keys().is_some_and(|keys| keys.iter().any(|(name, ..)| *name == key));
            name == table && key.is_none_or(has)
        })
    };
    stands("update", None) && !stands("system", Some("init"))
}

type Sections<'d> = BTreeMap<Heading<'d>, Section<'d>>;

/// The heading of a table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Heading<'d> {
    System,
    Update,
    Service(&'d str),
}

impl Heading<'_> {
    fn title(self) -> String {
        match self {
            Self::System => "[system]".to_owned(),
            Self::Update => "[update]".to_owned(),
            Self::Service(name) => format!("[service.{}]", name.escape_debug()),
        }
    }
}

fn service<'d>((heading, section): (Heading<'d>, Section<'d>)) -> Option<(&'d str, Section<'d>)> {
    match heading {
        Heading::Service(name) => Some((name, section)),
        Heading::System | Heading::Update => None,
    }
}

/// The tables of one layer, in which each stands once.
fn collect<'d>(layer: &'d [Document<'_>], cx: &mut Context<'_>) -> Sections<'d> {
    let mut sections = Sections::new();
    for (key, place, node) in layer.iter().flat_map(Document::keys) {
        match (key, node.keys()) {
            ("system", _) => add(&mut sections, Heading::System, (place, node), cx),
            ("update", _) => add(&mut sections, Heading::Update, (place, node), cx),
            ("service", Some(services)) => {
                for (name, place, node) in services {
                    add(&mut sections, Heading::Service(name), (place, node), cx);
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
    heading: Heading<'d>,
    (place, node): (Place, Node<'d>),
    cx: &mut Context<'_>,
) {
    let Some(section) = Section::of(heading.title(), place, node) else {
        return cx.report(not_a_table(place, node));
    };
    match sections.entry(heading) {
        Entry::Vacant(vacant) => {
            vacant.insert(section);
        }
        Entry::Occupied(first) => {
            let expected =
                format!("each table once; the first is at {}", cx.show(first.get().heading));
            cx.report(Mistake::at(place, format!("a second {}", heading.title()), expected));
        }
    }
}

fn not_a_table(place: Place, node: Node<'_>) -> Mistake {
    Mistake::at(place, node.describe(), format!("a table: {TABLES}"))
}

fn unknown_table(key: &str, place: Place) -> Mistake {
    let suggestion = super::suggest::nearest(key, ["system", "update", "service"]);
    Mistake::at(place, format!("unknown key {}", quote(key)), TABLES).suggest(suggestion)
}

const TABLES: &str = "[system], [update] or [service.NAME]";
