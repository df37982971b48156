//! What every value has: a text form, and words for what is right.

/// A checked value that can be written as text, on the kernel command line and in TOML alike.
pub trait Value: Sized {
    /// How TOML writes it.
    const FORM: Form = Form::String;

    /// Completes the sentence "expected …": type, range, unit, and an example where it helps.
    fn expected() -> String;

    /// The value that `text` stands for, if it is in range.
    fn from_text(text: &str) -> Option<Self>;

    /// The values with a name, where there is a fixed number of them.
    fn choices() -> &'static [Choice] {
        &[]
    }
}

/// The TOML type that a value is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `"text"`
    String,
    /// `true` or `false`
    Boolean,
    /// `42`
    Integer,
}

/// One of a fixed number of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// How it is written.
    pub text: &'static str,
    /// What it means.
    pub doc: &'static str,
}

/// `"a", "b" or "c"`, written as `form` is.
pub(crate) fn one_of(form: Form, choices: &[Choice]) -> String {
    let quoted: Vec<String> = choices.iter().map(|choice| quote(form, choice.text)).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, first)) => format!("{} or {last}", first.join(", ")),
        None => String::new(),
    }
}

fn quote(form: Form, text: &str) -> String {
    match form {
        Form::String => format!("{text:?}"),
        Form::Boolean | Form::Integer => text.to_owned(),
    }
}

/// Declares an enum each of whose variants has a text: `Never = "never"`.
///
/// The doc comments of the variants are also the reference page's.
macro_rules! choice {
    (
        $(#[$meta:meta])*
        pub enum $name:ident as $form:ident {
            $( $(#[doc = $doc:literal])+ $variant:ident = $text:literal, )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $( $(#[doc = $doc])+ $variant, )+
        }

        impl $name {
            /// How it is written.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $( Self::$variant => $text, )+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::Value for $name {
            const FORM: $crate::Form = $crate::Form::$form;

            fn expected() -> String {
                $crate::value::one_of(Self::FORM, Self::choices())
            }

            fn from_text(text: &str) -> Option<Self> {
                match text {
                    $( $text => Some(Self::$variant), )+
                    _ => None,
                }
            }

            fn choices() -> &'static [$crate::Choice] {
                &[$( $crate::Choice { text: $text, doc: concat!($($doc),+) }, )+]
            }
        }
    };
}

/// Declares a string that fulfils a condition: `pub struct Name: "what is expected", condition;`.
///
/// `spelled` maps the spellings of one name to the one that is kept.
macro_rules! text {
    (
        $(#[$meta:meta])*
        pub struct $name:ident: $expected:literal, $valid:expr $(, spelled $spelled:expr)?;
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl $crate::Value for $name {
            fn expected() -> String {
                $expected.to_owned()
            }

            fn from_text(text: &str) -> Option<Self> {
                let valid: fn(&str) -> bool = $valid;
                $( let text: String = ($spelled as fn(&str) -> String)(text); )?
                valid(text.as_ref()).then(|| Self(text.into()))
            }
        }

        text_on_the_wire!($name);
    };
}

/// Gives a type with a `Value` and a `Display` the same text in every format of serde.
macro_rules! text_on_the_wire {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(from)?;
                <Self as $crate::Value>::from_text(&text)
                    .ok_or_else(|| serde::de::Error::custom("text is not in its range"))
            }
        }
    };
}

/// Gives a newtype over an integer, made by `new`, the integer's form in every format of serde.
macro_rules! number_on_the_wire {
    ($name:ident [$($param:ident: $kind:ty),*], $inner:ty) => {
        impl<$(const $param: $kind),*> serde::Serialize for $name<$($param),*> {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                serde::Serialize::serialize(&self.0, to)
            }
        }

        impl<'de, $(const $param: $kind),*> serde::Deserialize<'de> for $name<$($param),*> {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let number = <$inner as serde::Deserialize>::deserialize(from)?;
                Self::new(number)
                    .ok_or_else(|| serde::de::Error::custom("number is not in its range"))
            }
        }
    };
}
