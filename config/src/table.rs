//! The macro by which a struct is the table of its keys.

/// Declares a document: the struct, and with feature `compile` its keys and how they are read.
///
/// `given` fields come from elsewhere, a service's name from its heading. A key is
/// `"name" = default => field: Type`; the default is TOML. Keys without one are
/// `(required; example)`, or `(none; example)` for an `Option`. The doc comment's first paragraph is
/// the reference page's line, the rest its text.
macro_rules! table {
    (
        $(#[doc = $about:literal])+
        pub struct $name:ident {
            given { $( $(#[doc = $given_doc:literal])+ $given:ident: $given_type:ty, )* }
            keys {
                $( $(#[doc = $doc:literal])+ $key:literal = $default:tt => $field:ident: $type:ty, )+
            }
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub struct $name {
            $( $(#[doc = $given_doc])+ pub $given: $given_type, )*
            $( $(#[doc = $doc])+ pub $field: $type, )+
        }

        #[cfg(feature = "compile")]
        impl $name {
            pub(crate) const KEYS: &[$crate::compile::Key] = &[
                $( $crate::compile::Key {
                    name: $key,
                    default: default!($default),
                    doc: &[$($doc),+],
                    expected: <$type as $crate::compile::FromToml>::expected,
                    choices: <$type as $crate::compile::FromToml>::choices,
                }, )+
            ];

            /// Reads every key, so that every mistake is reported, even where a given field is
            /// not to be had.
            pub(crate) fn read(
                section: &$crate::compile::Section<'_>,
                cx: &mut $crate::compile::Context<'_>,
                $( $given: Option<$given_type>, )*
            ) -> Option<Self> {
                section.refuse_unknown_keys(Self::KEYS, cx);
                $( let $field = section.read::<$type>($key, default!($default), cx); )+
                Some(Self { $( $given: $given?, )* $( $field: $field?, )+ })
            }
        }
    };
}

/// The default of a key in [`table!`].
#[cfg(feature = "compile")]
macro_rules! default {
    ((required; $example:tt)) => {
        $crate::compile::Default::Required { example: stringify!($example) }
    };
    ((none; $example:tt)) => {
        $crate::compile::Default::None { example: stringify!($example) }
    };
    ($default:tt) => {
        $crate::compile::Default::Toml(stringify!($default))
    };
}
