//! A text as tables and keys with their places.

use std::borrow::Cow;
use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Mistake, Nature, Place};
use super::key::{Default, Key};
use super::read::FromToml;
use super::{Context, TEXT_MAX, suggest};

/// A parsed text.
pub(crate) struct Document<'a> {
    file: usize,
    table: Spanned<DeTable<'a>>,
}

impl<'a> Document<'a> {
    /// Parses the text of a file; what is not TOML is reported, and the rest is there.
    pub(super) fn parse(file: usize, text: &'a str, cx: &mut Context<'_>) -> Self {
        let text = within_limit(file, text, cx);
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            cx.report(syntax_mistake(file, text, &error));
        }
        Self { file, table }
    }

    /// The keys at the top, with their places, in the order of the text.
    pub(super) fn keys(&self) -> Vec<(&str, Place, Node<'_>)> {
        keys(self.file, self.table.get_ref())
    }

    /// The whole document as one section, for documents without headings.
    pub(super) fn whole(&self) -> Section<'_> {
        let place = Place { file: self.file, offset: 0 };
        Section::new("boot.toml".to_owned(), place, self.file, self.table.get_ref())
    }
}

/// A key's or value's place and what stands there.
#[derive(Clone, Copy)]
pub(crate) struct Node<'d> {
    pub(crate) place: Place,
    pub(crate) value: &'d DeValue<'d>,
}

impl<'d> Node<'d> {
    fn in_file(file: usize, value: &'d Spanned<DeValue<'_>>) -> Self {
        Self { place: Place { file, offset: value.span().start }, value: value.get_ref() }
    }

    /// The elements of an array.
    pub(super) fn elements(self) -> Option<Vec<Self>> {
        let array = self.value.as_array()?;
        Some(array.iter().map(|element| Self::in_file(self.place.file, element)).collect())
    }

    /// The keys of a table, with their places, in the order of the text.
    pub(super) fn keys(self) -> Option<Vec<(&'d str, Place, Self)>> {
        Some(keys(self.place.file, self.value.as_table()?))
    }

    /// What stands there, in words.
    pub(super) fn describe(self) -> String {
        match self.value {
            DeValue::String(text) => quote(text),
            DeValue::Integer(number) => format!("the integer {number}"),
            DeValue::Float(number) => format!("the number {number}"),
            DeValue::Boolean(value) => value.to_string(),
            DeValue::Datetime(time) => format!("the time {time}"),
            DeValue::Array(_) => "an array".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        }
    }
}

/// The keys below one heading, of which a later layer may have set some anew.
#[derive(Clone)]
pub(crate) struct Section<'d> {
    /// Where its heading stands.
    pub(crate) heading: Place,
    /// The heading, in words.
    title: String,
    entries: BTreeMap<&'d str, (Place, Node<'d>)>,
}

impl<'d> Section<'d> {
    fn new(title: String, heading: Place, file: usize, table: &'d DeTable<'_>) -> Self {
        let entries = keys(file, table).into_iter().map(|(key, at, node)| (key, (at, node)));
        Self { heading, title, entries: entries.collect() }
    }

    /// The section below a heading, if its value is a table.
    pub(super) fn of(title: String, heading: Place, node: Node<'d>) -> Option<Self> {
        node.value.as_table().map(|table| Self::new(title, heading, node.place.file, table))
    }

    /// A section that no text has.
    pub(super) fn absent(title: &str) -> Self {
        Self { heading: Place::default(), title: title.to_owned(), entries: BTreeMap::new() }
    }

    /// Sets the keys of a later layer's section in place of this one's.
    pub(super) fn override_with(&mut self, later: Self) {
        self.entries.extend(later.entries);
    }

    /// Where a key's value stands, or the heading where the key does not.
    pub(crate) fn place(&self, key: &str) -> Place {
        self.entries.get(key).map_or(self.heading, |(_, node)| node.place)
    }

    /// The value of a key, or its default.
    pub(crate) fn read<T: FromToml>(
        &self,
        key: &str,
        default: Default,
        cx: &mut Context<'_>,
    ) -> Option<T> {
        match (self.entries.get(key), default) {
            (Some((_, node)), _) => T::from_toml(*node, cx),
            (None, Default::Toml(text)) => self.read_default(text, cx),
            (None, Default::None { .. }) => T::absent(),
            (None, Default::Required { example }) => {
                let expected = format!("a line such as {key} = {example}");
                let mistake = Mistake::at(self.heading, format!("no {key:?}"), expected);
                cx.report(mistake.nature(Nature::Absence));
                None
            }
        }
    }

    /// Reports the keys that are none of `keys`.
    pub(crate) fn refuse_unknown_keys(&self, keys: &[Key], cx: &mut Context<'_>) {
        for (name, (place, _)) in &self.entries {
            if !keys.iter().any(|key| key.name == *name) {
                let found = format!("unknown key {}", quote(name));
                let mistake = Mistake::at(*place, found, format!("a key of {}", self.title));
                cx.report(mistake.suggest(suggest::key(name, keys)));
            }
        }
    }

    fn read_default<T: FromToml>(&self, text: &str, cx: &mut Context<'_>) -> Option<T> {
        let value = DeValue::parse(text).ok()?;
        T::from_toml(Node { place: self.heading, value: value.get_ref() }, cx)
    }
}

/// The keys of a table in the order of the text, which `toml` does not keep.
fn keys<'d>(file: usize, table: &'d DeTable<'_>) -> Vec<(&'d str, Place, Node<'d>)> {
    let key = |(key, value): (&'d Spanned<Cow<'_, str>>, &'d Spanned<DeValue<'_>>)| {
        let place = Place { file, offset: key.span().start };
        (key.get_ref().as_ref(), place, Node::in_file(file, value))
    };
    let mut keys: Vec<_> = table.iter().map(key).collect();
    keys.sort_by_key(|(_, place, _)| *place);
    keys
}

/// What the TOML parser says, in this compiler's words where they are clearer.
fn syntax_mistake(file: usize, text: &str, error: &toml::de::Error) -> Mistake {
    let span = error.span().unwrap_or_default();
    let place = Place { file, offset: span.start };
    let excerpt = text.get(span).unwrap_or_default();
    match error.message().split_once(", expected ") {
        Some(("string values must be quoted" | "invalid boolean", _)) => {
            Mistake::at(place, unquoted(excerpt), VALUE).nature(Nature::Spelling)
        }
        Some((found, expected)) => Mistake::at(place, found, expected).nature(Nature::Syntax),
        None if error.message() == "duplicate key" => {
            let found = format!("{} a second time", quote(excerpt));
            Mistake::at(place, found, ONCE).nature(Nature::Syntax)
        }
        None => Mistake::at(place, error.message(), "other TOML").nature(Nature::Syntax),
    }
}

const ONCE: &str = "each key and each table once";
const VALUE: &str = "a string in quotes, a number, true, false, an array or a table";

/// At most so many characters of a text are shown in a diagnostic.
const QUOTE_MAX: usize = 60;

/// A word that should have quotes, or nothing.
fn unquoted(word: &str) -> String {
    match word {
        "" => "no value".to_owned(),
        word => format!("{} without quotes", quote(word).replace('"', "")),
    }
}

/// The text in quotes, shortened and with control characters escaped.
pub(super) fn quote(text: &str) -> String {
    match text.char_indices().nth(QUOTE_MAX) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

/// The text, or none where it is too long.
fn within_limit<'a>(file: usize, text: &'a str, cx: &mut Context<'_>) -> &'a str {
    if text.len() <= TEXT_MAX {
        return text;
    }
    let found = format!("{} bytes", text.len());
    let place = Place { file, offset: 0 };
    cx.report(Mistake::at(place, found, format!("at most {TEXT_MAX}")).nature(Nature::Syntax));
    ""
}
