use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// A version is part of an entry's name, which must fit the 255 bytes of a file name with room for
/// the counters.
const MAX_LEN: usize = 64;

/// The version of an image: `IMAGE_VERSION` of os-release, 1 to 64 of `[A-Za-z0-9.~^-]`.
///
/// Ordered by the UAPI Group's Version Format Specification (UAPI.10). Versions that it holds for
/// equal though their texts differ (`1.0` and `1.00`) are ordered by their bytes, so that the order
/// agrees with `==`.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version(String);

impl Version {
    /// The version as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        uapi_version::strverscmp(&self.0, &other.0).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl TryFrom<String> for Version {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        if (1..=MAX_LEN).contains(&text.len()) && text.bytes().all(is_allowed) {
            return Ok(Self(text));
        }
        Err(Error::Text {
            what: "version",
            found: text,
            expected: "1 to 64 of A-Z a-z 0-9 . ~ ^ -",
        })
    }
}

impl FromStr for Version {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        text.to_owned().try_into()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'~' | b'^' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    /// The specification's own examples, and what `systemd-analyze compare-versions` answers.
    #[test]
    fn order_is_the_one_of_uapi_10() {
        for (lower, higher) in [
            ("A", "a"),
            ("bar-123", "foo-123"),
            ("123", "123a"),
            ("123", "123.a"),
            ("123.a", "123.b"),
            ("123.a", "123a"),
            ("0", "0."),
            ("0", "0.0"),
            ("0~", "0"),
            ("1~~", "1~"),
            ("1~~a", "1~"),
            ("1", "1^"),
            ("1^~", "1^"),
            ("1^", "1."),
            ("1^1", "1.1"),
            ("1-1", "1.1"),
            ("1-", "1."),
            ("1.a", "1.0"),
            ("1.a", "1.0~"),
            ("a", "0"),
            ("a", "00"),
            ("9", "10"),
            ("1.9", "1.10"),
            ("1.2.3~rc1", "1.2.3"),
            ("1A", "1a"),
        ] {
            assert!(version(lower) < version(higher), "{lower} < {higher}");
            assert!(version(higher) > version(lower), "{higher} > {lower}");
        }
    }

    #[test]
    fn versions_that_the_specification_holds_for_equal_are_still_two() {
        assert_eq!(uapi_version::strverscmp("1.00a", "1.0a"), Ordering::Equal);
        assert_ne!(version("1.00a"), version("1.0a"));
        assert_ne!(version("1.00a").cmp(&version("1.0a")), Ordering::Equal);
    }

    #[test]
    fn versions_are_1_to_64_of_the_allowed_characters() {
        assert!("1.4.0~rc1^2-3AZaz".parse::<Version>().is_ok());
        assert!("1".repeat(64).parse::<Version>().is_ok());
        for bad in ["", "1_2", "1+2", "1/2", "1 2", "1\n", "1\0", "1é", &"1".repeat(65)] {
            assert!(bad.parse::<Version>().is_err(), "{bad:?}");
        }
    }
}
