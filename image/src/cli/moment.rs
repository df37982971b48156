//! Times on the command line.

use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Seconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Moment(u64);

impl Moment {
    pub(crate) fn now() -> Self {
        // A clock before 1970 is as good as one at 1970: both are wrong.
        Self(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
    }

    pub(crate) fn seconds(self) -> u64 {
        self.0
    }
}

impl FromStr for Moment {
    type Err = &'static str;

    /// Reads a number of seconds, or a date and time of RFC 3339.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let date = || OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp().try_into().ok();
        let seconds = text.parse().ok().or_else(date);
        seconds.map(Self).ok_or("expected seconds since 1970, or a time as 2027-01-31T00:00:00Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_moments() {
        for text in ["1000000000", "2001-09-09T01:46:40Z", "2001-09-09T03:46:40+02:00"] {
            assert_eq!(text.parse(), Ok(Moment(1_000_000_000)), "{text}");
        }
        for text in ["", "-1", "tomorrow", "2001-09-09", "1969-12-31T23:59:59Z"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }
}
