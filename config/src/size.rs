//! Sizes of memory: bytes with a range, written with a unit.

use std::fmt;

use crate::Value;

/// 1 KiB in bytes.
pub(crate) const KIB: u64 = 1 << 10;
/// 1 MiB in bytes.
pub(crate) const MIB: u64 = 1 << 20;
/// 1 TiB in bytes.
pub(crate) const TIB: u64 = 1 << 40;

/// The units of IEC 80000-13 from the largest to the smallest.
const UNITS: [(&str, u64); 5] =
    [("TiB", TIB), ("GiB", 1 << 30), ("MiB", MIB), ("KiB", KIB), ("B", 1)];

/// A size of `MIN` to `MAX` bytes, both included; its text is `"64MiB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Bytes<MIN, MAX> {
    /// `bytes` bytes, if that is in range.
    pub const fn new(bytes: u64) -> Option<Self> {
        if MIN <= bytes && bytes <= MAX { Some(Self(bytes)) } else { None }
    }

    /// The number of bytes.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl<const MIN: u64, const MAX: u64> fmt::Display for Bytes<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&show(self.0))
    }
}

impl<const MIN: u64, const MAX: u64> Value for Bytes<MIN, MAX> {
    fn expected() -> String {
        format!("a size from {} to {}, such as \"64MiB\"", show(MIN), show(MAX))
    }

    fn from_text(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits)?;
        let (_, size) = UNITS.iter().find(|(name, _)| *name == unit)?;
        Self::new(number.parse::<u64>().ok()?.checked_mul(*size)?)
    }
}

number_on_the_wire!(Bytes[MIN: u64, MAX: u64], u64);

/// The number in the largest unit that divides it.
fn show(bytes: u64) -> String {
    let unit = UNITS.iter().find(|(_, size)| bytes != 0 && bytes.is_multiple_of(*size));
    let (name, size) = unit.unwrap_or(&("B", 1));
    format!("{}{name}", bytes / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Memory = Bytes<KIB, TIB>;

    #[test]
    fn text_has_a_binary_unit_and_is_in_range() {
        for (text, bytes) in [("1KiB", 1024), ("1500B", 1500), ("64MiB", 64 << 20), ("1TiB", TIB)] {
            assert_eq!(Memory::from_text(text).map(Memory::get), Some(bytes), "{text}");
            assert_eq!(Memory::from_text(text).map(|b| b.to_string()).as_deref(), Some(text));
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in ["", "64", "64M", "64MB", "64 MiB", "1023B", "2TiB", "-1KiB", "1.5GiB"] {
            assert_eq!(Memory::from_text(text), None, "{text}");
        }
    }
}
