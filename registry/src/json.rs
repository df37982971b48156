use serde::de::DeserializeOwned;

/// Reads an object. (serde takes an array of the members' values for the same.)
///
/// What is wrong is not said: serde_json's message can quote a secret.
pub(crate) fn object<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    serde_json::from_slice(bytes).ok()
}
