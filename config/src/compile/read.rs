//! How each type is read from TOML.

use std::borrow::Cow;

use toml::de::{DeInteger, DeValue};

use super::Context;
use super::diagnostic::Mistake;
use super::document::{Node, quote};
use super::order::Reference;
use super::tree::why_not_executable;
use crate::account::{Group, Id, User};
use crate::command::{Command, Environment, Program, Variable, VariableName};
use crate::list::UpTo;
use crate::name::AbsolutePath;
use crate::service::Index;
use crate::value::{Choice, Form, Value};

/// A type that a key can have.
pub(crate) trait FromToml: Sized {
    /// Completes the sentence "expected …".
    fn expected() -> String;

    /// The values with a name.
    fn choices() -> &'static [Choice] {
        &[]
    }

    /// The value of `node`; where it has none, the context knows why.
    fn from_toml(node: Node<'_>, cx: &mut Context<'_>) -> Option<Self>;

    /// What a missing key means, for a key without default.
    fn absent() -> Option<Self> {
        None
    }
}

impl<T: Value> FromToml for T {
    fn expected() -> String {
        T::expected()
    }

    fn choices() -> &'static [Choice] {
        T::choices()
    }

    fn from_toml(node: Node<'_>, cx: &mut Context<'_>) -> Option<Self> {
        let value = scalar(T::FORM, node.value).and_then(|text| T::from_text(&text));
        if value.is_none() {
            let choices = T::choices().iter().map(|choice| choice.text);
            let meant = node.value.as_str().and_then(|text| cx.nearest(text, choices));
            cx.report(wrong::<T>(node).suggest(meant));
        }
        value
    }
}

impl<T: FromToml> FromToml for Option<T> {
    fn expected() -> String {
        T::expected()
    }

    fn choices() -> &'static [Choice] {
        T::choices()
    }

    fn from_toml(node: Node<'_>, cx: &mut Context<'_>) -> Option<Self> {
        T::from_toml(node, cx).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: FromToml> FromToml for Vec<T> {
    fn expected() -> String {
        format!("an array, of which each element is {}", T::expected())
    }

    fn from_toml(node: Node<'_>, cx: &mut Context<'_>) -> Option<Self> {
        match node.elements() {
            Some(elements) => read_all(&elements, cx),
            None => refuse::<Self>(node, cx),
        }
    }
}

impl<T: FromToml, const MAX: usize> FromToml for UpTo<T, MAX> {
    fn expected() -> String {
        format!("an array of at most {MAX} elements, of which each is {}", T::expected())
    }

    fn from_toml(node: Node<'_>, cx: &mut Context<'_>) -> Option<Self> {
        match node.elements() {
            Some(elements) if elements.len() <= MAX => Self::new(read_all(&elements, cx)?),
            Some(elements) => refuse_as::<Self>(node, &format!("{} elements", elements.len()), cx),
            None => refuse::<Self>(node, cx),
        }
    }
}

impl FromToml for Program {
    fn expected() -> String {
        "the absolute path of an executable file in the image, such as \"/usr/bin/app\"".to_owned()
    }

    fn from_toml(node: Node<'_>, cx: &mut Context<'_>) -> Option<Self> {
        let Some(path) = node.value.as_str().and_then(AbsolutePath::from_text) else {
            return refuse::<Self>(node, cx);
        };
        match why_not_executable(cx.tree, path.as_str()) {
            None => Some(Self(path)),
            Some(found) => {
                cx.report(Mistake::at(node.place, found, Self::expected()));
                None
            }
        }
    }
}

impl FromToml for Command {
    fn expected() -> String {
        "an array of strings, the program's absolute path first".to_owned()
    }

    fn from_toml(node: Node<'_>, cx: &mut Context<'_>) -> Option<Self> {
        match node.elements().as_deref() {
            Some([program, arguments @ ..]) => {
                let program = Program::from_toml(*program, cx);
                let arguments = read_all(arguments, cx);
                Some(Self { program: program?, arguments: arguments? })
            }
            Some([]) => refuse_as::<Self>(node, "an empty array", cx),
            None => {
                cx.report(wrong::<Self>(node).suggest(node.value.as_str().map(as_array)));
                None
            }
        }
    }
}

impl FromToml for Environment {
    fn expected() -> String {
        "a table of strings, such as { LANG = \"C.UTF-8\" }".to_owned()
    }

    fn from_toml(node: Node<'_>, cx: &mut Context<'_>) -> Option<Self> {
        let Some(keys) = node.keys() else { return refuse::<Self>(node, cx) };
        let read: Vec<Option<Variable>> = keys
            .into_iter()
            .map(|(name, place, value)| {
                let name = variable_name(name, Node { place, ..value }, cx);
                let value = FromToml::from_toml(value, cx);
                Some(Variable { name: name?, value: value? })
            })
            .collect();
        Self::new(read.into_iter().collect::<Option<_>>()?)
    }
}

impl FromToml for Index {
    fn expected() -> String {
        "the name of another service".to_owned()
    }

    fn from_toml(node: Node<'_>, cx: &mut Context<'_>) -> Option<Self> {
        let Some(name) = node.value.as_str() else { return refuse::<Self>(node, cx) };
        let Some(to) = cx.services.iter().position(|service| service == name) else {
            return missing_service(node, name, cx);
        };
        cx.references.push(Reference { from: cx.reading, to, place: node.place });
        u16::try_from(to).ok().map(Self)
    }
}

impl FromToml for User {
    fn expected() -> String {
        "the name of a user in the image's /etc/passwd, or a user's number".to_owned()
    }

    fn from_toml(node: Node<'_>, cx: &mut Context<'_>) -> Option<Self> {
        let user = match node.value {
            DeValue::String(name) => cx.accounts.user(name),
            number => id(number).and_then(|uid| cx.accounts.user_number(uid)),
        };
        if user.is_none() {
            let meant =
                node.value.as_str().and_then(|name| cx.nearest(name, cx.accounts.user_names()));
            cx.report(wrong::<Self>(node).suggest(meant));
        }
        user
    }
}

impl FromToml for Group {
    fn expected() -> String {
        "the name of a group in the image's /etc/group, or a group's number".to_owned()
    }

    fn from_toml(node: Node<'_>, cx: &mut Context<'_>) -> Option<Self> {
        let group = match node.value {
            DeValue::String(name) => cx.accounts.group(name),
            number => id(number).map(Self),
        };
        if group.is_none() {
            let meant =
                node.value.as_str().and_then(|name| cx.nearest(name, cx.accounts.group_names()));
            cx.report(wrong::<Self>(node).suggest(meant));
        }
        group
    }
}

/// The text form of a value that is written as `form`.
fn scalar<'d>(form: Form, value: &'d DeValue<'_>) -> Option<Cow<'d, str>> {
    match (form, value) {
        (Form::String, DeValue::String(text)) => Some(Cow::Borrowed(text)),
        (Form::Boolean, DeValue::Boolean(value)) => Some(Cow::Owned(value.to_string())),
        (Form::Integer, DeValue::Integer(number)) => Some(Cow::Owned(integer(number)?.to_string())),
        _ => None,
    }
}

fn integer(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn id(value: &DeValue<'_>) -> Option<Id> {
    value
        .as_integer()
        .and_then(integer)
        .and_then(|number| u32::try_from(number).ok())
        .and_then(Id::new)
}

fn wrong<T: FromToml>(node: Node<'_>) -> Mistake {
    Mistake::at(node.place, node.describe(), T::expected())
}

fn refuse<T: FromToml>(node: Node<'_>, cx: &mut Context<'_>) -> Option<T> {
    cx.report(wrong::<T>(node));
    None
}

fn refuse_as<T: FromToml>(node: Node<'_>, found: &str, cx: &mut Context<'_>) -> Option<T> {
    cx.report(Mistake::at(node.place, found, T::expected()));
    None
}

/// Reads all, so that each mistake is reported.
fn read_all<T: FromToml>(nodes: &[Node<'_>], cx: &mut Context<'_>) -> Option<Vec<T>> {
    let read: Vec<Option<T>> = nodes.iter().map(|node| T::from_toml(*node, cx)).collect();
    read.into_iter().collect()
}

/// A command line as it would be written here, for those who are used to write it as one string.
fn as_array(command: &str) -> String {
    let words: Vec<String> = command.split_whitespace().take(16).map(quote).collect();
    format!("[{}]", words.join(", "))
}

fn variable_name(name: &str, node: Node<'_>, cx: &mut Context<'_>) -> Option<VariableName> {
    let read = VariableName::from_text(name);
    if read.is_none() {
        cx.report(Mistake::at(node.place, quote(name), <VariableName as Value>::expected()));
    }
    read
}

fn missing_service(node: Node<'_>, name: &str, cx: &mut Context<'_>) -> Option<Index> {
    let meant = cx.nearest(name, cx.services.iter().map(String::as_str));
    let mistake = Mistake::at(node.place, quote(name), Index::expected()).suggest(meant);
    cx.report(mistake.nature(super::diagnostic::Nature::Absence));
    None
}
