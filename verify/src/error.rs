use std::fmt;

use crate::Refusal;

/// What is wrong with something that a builder or a machine's owner handed in.
///
/// Why a *seal* is not believed is a [`Refusal`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A text (an id, a version, a digest) that is not of its form.
    Text {
        /// What the text should have been.
        what: &'static str,
        /// The text, as it came.
        found: String,
        /// Its form, in words.
        expected: &'static str,
    },
    /// A PEM file that holds no usable Ed25519 key.
    Pem {
        /// Which kind of key was wanted.
        what: &'static str,
        /// What the decoder found.
        cause: String,
    },
    /// 32 bytes that are no key worth enrolling, and why not.
    WeakKey(Weakness),
    /// A key set that no machine should be given, or that is not in its one canonical encoding.
    KeySet(&'static str),
    /// A seal that cannot be signed as it stands.
    Sign(&'static str),
    /// A seal that would be refused where it is read.
    Seal(Refusal),
    /// A tree file that is not the one that the seal speaks of.
    Tree(&'static str),
    /// An image size for which there is no tree, in bytes.
    ImageSize(u64),
}

/// Why 32 bytes are no public key that a machine should trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weakness {
    /// They are no point of the curve.
    NoPoint,
    /// They are the point's second encoding, so that one key would have two names.
    NotCanonical,
    /// A point of small order: signatures that nobody made pass for its own.
    SmallOrder,
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPoint => "it is no point of the curve",
            Self::NotCanonical => "it is not canonically encoded",
            Self::SmallOrder => "it is weak: a point of small order, for which anybody can sign",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { what, found, expected } => {
                write!(f, "cannot read {what} {found:?}: expected {expected}")
            }
            Self::Pem { what, cause } => write!(f, "cannot read {what} from PEM: {cause}"),
            Self::WeakKey(weakness) => write!(f, "cannot enrol public key: {weakness}"),
            Self::KeySet(cause) => write!(f, "cannot use key set: {cause}"),
            Self::Sign(cause) => write!(f, "cannot sign seal: {cause}"),
            Self::Seal(refusal) => write!(f, "cannot sign seal: it would be refused: {refusal}"),
            Self::Tree(cause) => write!(f, "cannot trust hash tree: {cause}"),
            Self::ImageSize(bytes) => {
                write!(
                    f,
                    "cannot hash image of {bytes} bytes: expected 4096 to 2^40, a multiple of 4096"
                )
            }
        }
    }
}

impl std::error::Error for Error {}
