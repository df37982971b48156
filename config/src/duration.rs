//! Time spans: milliseconds with a range, written with a unit.

use std::fmt;
use std::time::Duration;

use crate::Value;

/// One second, in milliseconds.
pub(crate) const SECOND: u64 = 1000;
/// One minute, in milliseconds.
pub(crate) const MINUTE: u64 = 60 * SECOND;
/// One hour, in milliseconds.
pub(crate) const HOUR: u64 = 60 * MINUTE;
/// One day, in milliseconds.
pub(crate) const DAY: u64 = 24 * HOUR;

/// The units from the largest to the smallest, as `systemd.time(7)` writes them.
const UNITS: [(&str, u64); 5] =
    [("d", DAY), ("h", HOUR), ("min", MINUTE), ("s", SECOND), ("ms", 1)];

/// A time span of `MIN` to `MAX` milliseconds, both included; its text is `"500ms"`, `"5s"`, `"2min"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Millis<MIN, MAX> {
    /// `ms` milliseconds, if that is in range.
    pub const fn new(ms: u64) -> Option<Self> {
        if MIN <= ms && ms <= MAX { Some(Self(ms)) } else { None }
    }

    /// The number of milliseconds.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The same as a [`Duration`].
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }

    /// The number of seconds, rounded up, for kernel interfaces that count in seconds.
    pub const fn seconds(self) -> u64 {
        self.0.div_ceil(SECOND)
    }
}

impl<const MIN: u64, const MAX: u64> fmt::Display for Millis<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&show(self.0))
    }
}

impl<const MIN: u64, const MAX: u64> Value for Millis<MIN, MAX> {
    fn expected() -> String {
        format!("a duration from {} to {}, such as \"5s\"", show(MIN), show(MAX))
    }

    fn from_text(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits)?;
        let (_, ms) = UNITS.iter().find(|(name, _)| *name == unit)?;
        Self::new(number.parse::<u64>().ok()?.checked_mul(*ms)?)
    }
}

number_on_the_wire!(Millis[MIN: u64, MAX: u64], u64);

/// The number in the largest unit that divides it.
fn show(ms: u64) -> String {
    let unit = UNITS.iter().find(|(_, size)| ms != 0 && ms.is_multiple_of(*size));
    match unit {
        Some((name, size)) => format!("{}{name}", ms / size),
        None => "0s".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Short = Millis<100, { 2 * HOUR }>;

    #[test]
    fn text_has_a_unit_and_is_in_range() {
        let cases = [("100ms", 100), ("5s", 5000), ("2min", 120_000), ("2h", 7_200_000)];
        for (text, ms) in cases {
            assert_eq!(Short::from_text(text).map(Short::get), Some(ms), "{text}");
            assert_eq!(Short::from_text(text).map(|d| d.to_string()).as_deref(), Some(text));
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let cases = [
            "",
            "5",
            "s",
            "5 s",
            " 5s",
            "5s ",
            "-5s",
            "+5s",
            "5.5s",
            "5m",
            "5S",
            "5sec",
            "1min30s",
            "99ms",
            "3h",
            "1d",
            "18446744073709551616ms",
            "18446744073709551615d",
            "５s",
            "é",
        ];
        for text in cases {
            assert_eq!(Short::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn seconds_are_rounded_up() {
        assert_eq!(Short::new(1001).map(Short::seconds), Some(2));
        assert_eq!(Short::new(1000).map(Short::seconds), Some(1));
    }

    #[test]
    fn zero_has_a_text_that_is_read_back() {
        type FromZero = Millis<0, 10>;
        let zero = FromZero::new(0).unwrap();
        assert_eq!(FromZero::from_text(&zero.to_string()), Some(zero));
    }
}
