//! What reading a value needs to know, and where its mistakes go.

use std::collections::{BTreeMap, BTreeSet};

use super::File;
use super::accounts::Accounts;
use super::diagnostic::{Diagnostic, Mistake, Nature, Place};
use super::order::Reference;
use super::suggest;
use super::tree::Tree;

/// Nobody reads more, and hostile text must not make the report larger than itself.
const MISTAKES_MAX: usize = 1000;

/// The state of one compilation.
pub(crate) struct Context<'a> {
    pub(super) tree: &'a dyn Tree,
    pub(super) accounts: Accounts,
    /// The names of all services, in the order of their sections.
    pub(super) services: Vec<String>,
    /// The position of the service that is being read.
    pub(super) reading: usize,
    /// What services have said about each other.
    pub(super) references: Vec<Reference>,
    files: Vec<File<'a>>,
    mistakes: Vec<Mistake>,
}

impl<'a> Context<'a> {
    pub(super) fn new(files: Vec<File<'a>>, tree: &'a dyn Tree) -> Self {
        Self {
            tree,
            accounts: Accounts::of(tree),
            services: Vec::new(),
            reading: 0,
            references: Vec::new(),
            files,
            mistakes: Vec::new(),
        }
    }

    /// Notes a mistake, unless there are too many.
    pub(super) fn report(&mut self, mistake: Mistake) {
        if !self.is_full() {
            self.mistakes.push(mistake);
        }
    }

    /// The candidate that `word` was probably meant to be, in quotes.
    pub(super) fn nearest<'w>(
        &self,
        word: &str,
        candidates: impl IntoIterator<Item = &'w str>,
    ) -> Option<String> {
        if self.is_full() { None } else { suggest::nearest(word, candidates) }
    }

    /// A place as diagnostics show it.
    pub(super) fn show(&self, place: Place) -> String {
        let file = self.files.get(place.file).copied().unwrap_or_default();
        let Diagnostic { file, line, column, .. } = Mistake::at(place, "", "").locate(file);
        format!("{file}:{line}:{column}")
    }

    /// The value, if nothing was wrong; else all mistakes in the order of the text.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, Vec<Diagnostic>> {
        match value {
            Some(value) if self.mistakes.is_empty() => Ok(value),
            _ => Err(self.diagnostics()),
        }
    }

    fn is_full(&self) -> bool {
        self.mistakes.len() >= MISTAKES_MAX
    }

    fn diagnostics(self) -> Vec<Diagnostic> {
        let Self { files, mut mistakes, .. } = self;
        mistakes.sort_by_key(|mistake| mistake.place);
        let broken = Broken::of(&files, &mistakes);
        let mut diagnostics: Vec<Diagnostic> = mistakes
            .into_iter()
            .filter(|mistake| !broken.explains(mistake))
            .map(|mistake| {
                let file = files.get(mistake.place.file).copied().unwrap_or_default();
                mistake.locate(file)
            })
            .collect();
        diagnostics.dedup_by_key(|d| (d.file.clone(), d.line, d.column, d.found.clone()));
        diagnostics
    }
}

/// Where the text is not TOML, so that what is read there is a guess.
struct Broken<'a> {
    files: &'a [File<'a>],
    /// The first syntax error of each broken line, by file and the line's first byte.
    lines: BTreeMap<Place, Place>,
    /// The values that are not TOML.
    values: BTreeSet<Place>,
}

impl<'a> Broken<'a> {
    fn of(files: &'a [File<'a>], mistakes: &[Mistake]) -> Self {
        let of = |nature| mistakes.iter().filter(move |m| m.nature == nature).map(|m| m.place);
        let values = of(Nature::Spelling).collect();
        let mut broken = Self { files, lines: BTreeMap::new(), values };
        for place in of(Nature::Syntax) {
            broken.lines.entry(broken.line_of(place)).or_insert(place);
        }
        broken
    }

    /// Whether the mistake is only a consequence of the text not being TOML.
    fn explains(&self, mistake: &Mistake) -> bool {
        let first_on_line = self.lines.get(&self.line_of(mistake.place));
        match mistake.nature {
            Nature::Syntax => first_on_line != Some(&mistake.place),
            Nature::Absence => !self.lines.is_empty(),
            Nature::Spelling => first_on_line.is_some(),
            Nature::Presence => {
                first_on_line.is_some()
                    || self.values.contains(&mistake.place)
                    || self.heading_is_broken(mistake.place)
            }
        }
    }

    /// Whether a broken `[table]` stands above: the keys below it are in the wrong table then.
    fn heading_is_broken(&self, place: Place) -> bool {
        let above = Place { offset: 0, ..place }..place;
        self.lines.range(above).any(|(line, _)| self.text_from(*line).starts_with('['))
    }

    fn line_of(&self, place: Place) -> Place {
        let before = self.text_of(place.file).get(..place.offset).unwrap_or_default();
        Place { offset: before.rfind('\n').map_or(0, |newline| newline + 1), ..place }
    }

    fn text_from(&self, place: Place) -> &'a str {
        self.text_of(place.file).get(place.offset..).unwrap_or_default().trim_start()
    }

    fn text_of(&self, file: usize) -> &'a str {
        self.files.get(file).map_or("", |(_, text)| text)
    }
}
