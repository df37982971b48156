//! The macro by which a struct is the table of its keys.

/// Declares a document: the struct, and with feature `compile` its keys and how they are read.
///
/// `given` fields come from elsewhere, a service's name from its heading. A key is
/// `"name" = default => field: Type`; the default is TOML, or `required`, or `none` for an `Option`.
/// The doc comment's first paragraph is the reference page's line, the rest its text.
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
    };
}
