use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// A share of all machines, 0 to 100.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Percent(u8);

impl Percent {
    /// Nobody.
    pub const NONE: Self = Self(0);
    /// Everybody.
    pub const ALL: Self = Self(100);

    /// The number, 0 to 100.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Percent {
    type Error = Error;

    fn try_from(number: u8) -> Result<Self, Error> {
        if number <= 100 { Ok(Self(number)) } else { Err(not_a_percentage(number.to_string())) }
    }
}

impl From<Percent> for u8 {
    fn from(percent: Percent) -> Self {
        percent.0
    }
}

impl FromStr for Percent {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let number: u8 = text.parse().map_err(|_| not_a_percentage(text.to_owned()))?;
        number.try_into()
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0)
    }
}

impl fmt::Debug for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn not_a_percentage(found: String) -> Error {
    Error::Text { what: "percentage", found, expected: "a whole number from 0 to 100" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_end_at_100() {
        assert_eq!("100".parse(), Ok(Percent::ALL));
        assert_eq!(Percent::try_from(0), Ok(Percent::NONE));
        for bad in ["101", "256", "-1", "", "1.5", "50%"] {
            assert!(bad.parse::<Percent>().is_err(), "{bad:?}");
        }
    }
}
