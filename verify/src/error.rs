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
    /// 32 bytes that are no point of the curve, one of small order (any signature could pass for its
    /// own), or not the point's canonical encoding.
    WeakKey,
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

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { what, found, expected } => {
                write!(f, "cannot read {what} {found:?}: expected {expected}")
            }
            Self::Pem { what, cause } => write!(f, "cannot read {what} from PEM: {cause}"),
            Self::WeakKey => write!(f, "cannot enrol public key: it is weak or not canonical"),
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
