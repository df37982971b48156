//! What is wrong, where, and what would be right.

use std::fmt;

/// One mistake, in the form that editors jump to: `FILE:LINE:COLUMN: found …, expected …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file's path, as it was given to the compiler.
    pub file: String,
    /// The line, from 1 on.
    pub line: usize,
    /// The column in characters, from 1 on.
    pub column: usize,
    /// What stands there.
    pub found: String,
    /// What could stand there.
    pub expected: String,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

impl Diagnostic {
    pub(super) fn not_utf8(file: &str, good: &str) -> Self {
        let (line, column) = position(good, good.len());
        Self {
            file: file.to_owned(),
            line,
            column,
            found: "bytes that are not UTF-8".to_owned(),
            expected: "TOML, which is UTF-8".to_owned(),
            suggestion: None,
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, found, expected, .. } = self;
        write!(f, "{file}:{line}:{column}: found {found}, expected {expected}")?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; did you mean {suggestion}?"),
            None => Ok(()),
        }
    }
}

/// Where something stands: a file by its number, and a byte in its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) file: usize,
    pub(crate) offset: usize,
}

/// What a mistake says about the rest of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    /// The text is not TOML here; what follows may be something else than it looks like.
    Syntax,
    /// A value is not TOML, but ends where it should.
    Spelling,
    /// What stands here is wrong.
    Presence,
    /// Something is missing, which may stand where the text is not TOML.
    Absence,
}

/// A mistake before its line and column are counted.
#[derive(Debug)]
pub(crate) struct Mistake {
    pub(super) place: Place,
    pub(super) nature: Nature,
    found: String,
    expected: String,
    suggestion: Option<String>,
}

impl Mistake {
    /// What stands at `place` is wrong.
    pub(super) fn at(place: Place, found: impl Into<String>, expected: impl Into<String>) -> Self {
        let (found, expected) = (found.into(), expected.into());
        Self { place, nature: Nature::Presence, found, expected, suggestion: None }
    }

    pub(super) fn nature(self, nature: Nature) -> Self {
        Self { nature, ..self }
    }

    pub(super) fn suggest(self, suggestion: Option<String>) -> Self {
        Self { suggestion, ..self }
    }

    pub(super) fn locate(self, (file, text): (&str, &str)) -> Diagnostic {
        let (line, column) = position(text, self.place.offset);
        let Self { found, expected, suggestion, .. } = self;
        Diagnostic { file: file.to_owned(), line, column, found, expected, suggestion }
    }
}

/// Line and column of a byte, both from 1 on.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
    let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let text = "a\nä = x\n";
        let positions = [0, 1, 2, 4, 7, 9].map(|offset| position(text, offset));
        assert_eq!(positions, [(1, 1), (1, 2), (2, 1), (2, 2), (2, 5), (3, 1)]);
    }

    #[test]
    fn bytes_that_are_no_text_have_a_place() {
        let diagnostic = super::super::utf8("a.toml", b"x = 1\ny = \"\xff\"").unwrap_err();
        assert_eq!(
            diagnostic.to_string(),
            "a.toml:2:6: found bytes that are not UTF-8, expected TOML, which is UTF-8"
        );
    }
}
