//! A key of a document, as the reference pages and the reader see it.

use crate::value::Choice;

/// One key of a table.
pub(crate) struct Key {
    /// How it is written.
    pub(crate) name: &'static str,
    /// What holds without it.
    pub(crate) default: Default,
    /// The doc comment, a line an element.
    pub(crate) doc: &'static [&'static str],
    /// Completes the sentence "expected …".
    pub(crate) expected: fn() -> String,
    /// The values with a name.
    pub(crate) choices: fn() -> &'static [Choice],
}

/// What holds where a key is missing.
#[derive(Clone, Copy)]
pub(crate) enum Default {
    /// The key must be there.
    Required {
        /// A value in TOML.
        example: &'static str,
    },
    /// Nothing.
    None {
        /// A value in TOML.
        example: &'static str,
    },
    /// The value in TOML.
    Toml(&'static str),
}
