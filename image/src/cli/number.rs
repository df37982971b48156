//! Whole numbers on the command line. What std says of a wrong one tells of digits, and not of what
//! was expected.

use anyhow::{Context, Result};

/// A release's number in the order of releases.
pub(super) fn sequence(text: &str) -> Result<u64> {
    text.parse().ok().with_context(|| format!("expected a whole number from 0 to {}", u64::MAX))
}

/// How many keys must have signed; no seal has more than four signatures.
pub(super) fn threshold(text: &str) -> Result<u8> {
    let number = text.parse().ok().filter(|number| (1..=4).contains(number));
    number.context("expected a whole number from 1 to 4")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_to_the_ends_of_their_ranges() {
        assert_eq!(sequence("0").unwrap(), 0);
        assert_eq!(sequence("18446744073709551615").unwrap(), u64::MAX);
        assert_eq!([threshold("1").unwrap(), threshold("4").unwrap()], [1, 4]);
    }

    #[test]
    fn for_what_is_none_the_range_is_told() {
        for text in ["", "x", "-1", "18446744073709551616"] {
            let said = "expected a whole number from 0 to 18446744073709551615";
            assert_eq!(sequence(text).unwrap_err().to_string(), said);
        }
        for text in ["", "x", "0", "5", "256"] {
            let said = "expected a whole number from 1 to 4";
            assert_eq!(threshold(text).unwrap_err().to_string(), said);
        }
    }
}
