//! Postcard with exactly one encoding of each value.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Encodes `value`; `None` only where a `Serialize` of this crate is broken.
pub(crate) fn encode<T: Serialize>(value: &T) -> Option<Vec<u8>> {
    postcard::to_allocvec(value).ok()
}

/// Decodes all of `bytes`.
///
/// Postcard itself takes longer varints than needed and ignores what follows the value. Both would
/// let one statement have many encodings, so what does not encode to the same bytes again is
/// `None`.
pub(crate) fn decode<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Option<T> {
    let value = postcard::from_bytes(bytes).ok()?;
    (encode(&value)? == bytes).then_some(value)
}
