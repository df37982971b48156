use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// An image id is part of file names and of the kernel's command line.
const MAX_LEN: usize = 64;

/// Which family of images a seal speaks of: `IMAGE_ID` of os-release, 1 to 64 of `[a-z0-9._-]`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageId(String);

impl ImageId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ImageId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        if (1..=MAX_LEN).contains(&text.len()) && text.bytes().all(is_allowed) {
            return Ok(Self(text));
        }
        Err(Error::Text { what: "image id", found: text, expected: "1 to 64 of a-z 0-9 . _ -" })
    }
}

impl FromStr for ImageId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        text.to_owned().try_into()
    }
}

impl From<ImageId> for String {
    fn from(id: ImageId) -> Self {
        id.0
    }
}

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

fn is_allowed(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_ids_are_1_to_64_of_the_allowed_characters() {
        assert!("debian-12_kiosk.v2".parse::<ImageId>().is_ok());
        assert!("a".repeat(64).parse::<ImageId>().is_ok());
        for bad in ["", "Kiosk", "a/b", "a b", "a\n", "a\0", "é", "a+b", &"a".repeat(65)] {
            assert!(bad.parse::<ImageId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn error_names_what_was_found_and_what_was_expected() {
        let error = "Kiosk".parse::<ImageId>().unwrap_err();
        let text = r#"cannot read image id "Kiosk": expected 1 to 64 of a-z 0-9 . _ -"#;
        assert_eq!(error.to_string(), text);
    }
}
