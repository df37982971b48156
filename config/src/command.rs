//! What is executed, and in which environment.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::name::AbsolutePath;

/// A program and its arguments, executed as they stand: no shell, no expansion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The program's file in the image.
    pub program: Program,
    /// The arguments that follow `argv[0]`.
    pub arguments: Vec<Argument>,
}

/// An executable file of the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program(
    /// Where it is.
    pub AbsolutePath,
);

impl Program {
    /// The path itself.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Command {
    /// `argv`: the program's path, then the arguments.
    pub fn argv(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.program.as_str()).chain(self.arguments.iter().map(Argument::as_str))
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.argv().collect::<Vec<_>>().join(" "))
    }
}

text! {
    /// One argument, or the value of an environment variable: any text without NUL.
    pub struct Argument: "text of at most 4096 bytes without NUL",
    |text| text.len() <= 4096 && !text.contains('\0');
}

text! {
    /// The name of an environment variable, by POSIX's portable character set for names.
    pub struct VariableName: "a variable's name: letters, digits and '_', and no digit first",
    |text| (1..=64).contains(&text.len()) && is_identifier(text);
}

/// An environment variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// The name before the `=`.
    pub name: VariableName,
    /// The value after it.
    pub value: Argument,
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}

/// Environment variables, sorted by name, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Environment(Vec<Variable>);

impl Environment {
    /// The variables in the order of their names, if no name is there twice.
    pub fn new(mut variables: Vec<Variable>) -> Option<Self> {
        variables.sort_by(|a, b| a.name.cmp(&b.name));
        let twice = |pair: &[Variable]| matches!(pair, [a, b] if a.name == b.name);
        (!variables.windows(2).any(twice)).then_some(Self(variables))
    }

    /// The variables in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Variable> {
        self.0.iter()
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|variable| variable.name.as_str() == name).map(|v| v.value.as_str())
    }
}

impl<'de> Deserialize<'de> for Environment {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::new(Vec::deserialize(from)?)
            .ok_or_else(|| serde::de::Error::custom("variable stands twice"))
    }
}

fn is_identifier(text: &str) -> bool {
    let first_is_digit = text.bytes().next().is_some_and(|b| b.is_ascii_digit());
    !first_is_digit && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;

    fn variable(name: &str, value: &str) -> Variable {
        Variable {
            name: VariableName::from_text(name).unwrap(),
            value: Argument::from_text(value).unwrap(),
        }
    }

    #[test]
    fn argv_begins_with_the_program() {
        let program = Program(AbsolutePath::from_text("/bin/sh").unwrap());
        let arguments = vec![Argument::from_text("-c").unwrap(), Argument::from_text("").unwrap()];
        let command = Command { program, arguments };
        assert_eq!(command.argv().collect::<Vec<_>>(), ["/bin/sh", "-c", ""]);
    }

    #[test]
    fn an_environment_is_sorted_and_has_each_name_once() {
        let environment = Environment::new(vec![variable("B", "2"), variable("A", "1")]).unwrap();
        let shown: Vec<_> = environment.iter().map(Variable::to_string).collect();
        assert_eq!(shown, ["A=1", "B=2"]);
        assert_eq!(environment.get("B"), Some("2"));
        assert_eq!(Environment::new(vec![variable("A", "1"), variable("A", "2")]), None);
    }

    #[test]
    fn names_of_variables_are_identifiers() {
        for name in ["", "1A", "A-B", "A=B", "A B", "Ä"] {
            assert_eq!(VariableName::from_text(name), None, "{name:?}");
        }
        assert!(VariableName::from_text("_A1b").is_some());
    }
}
