//! Whole numbers with a range.

use std::fmt;

use crate::{Form, Value};

/// A whole number from `MIN` to `MAX`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Whole<const MIN: i64, const MAX: i64>(i64);

impl<const MIN: i64, const MAX: i64> Whole<MIN, MAX> {
    /// `number`, if it is in range.
    pub const fn new(number: i64) -> Option<Self> {
        if MIN <= number && number <= MAX { Some(Self(number)) } else { None }
    }

    /// The number itself.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl<const MIN: i64, const MAX: i64> fmt::Display for Whole<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const MIN: i64, const MAX: i64> Value for Whole<MIN, MAX> {
    const FORM: Form = Form::Integer;

    fn expected() -> String {
        format!("a whole number from {MIN} to {MAX}")
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok().and_then(Self::new)
    }
}

number_on_the_wire!(Whole[MIN: i64, MAX: i64], i64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_includes_its_ends() {
        type Digit = Whole<1, 9>;
        let read = |text| Digit::from_text(text).map(Digit::get);
        assert_eq!([read("1"), read("9")], [Some(1), Some(9)]);
        assert_eq!([read("0"), read("10"), read(""), read("x")], [None; 4]);
    }
}
