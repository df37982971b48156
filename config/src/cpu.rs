//! Shares of processors.

use std::fmt;

use crate::Value;

/// At most so many percent of one processor's time; 250 are two and a half processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CpuMax(u32);

/// All processors of the largest machine that Linux runs on (`CONFIG_NR_CPUS` is at most 8192).
const PERCENT_MAX: u32 = 8192 * 100;

/// The period of cgroup v2's `cpu.max` in µs; 100 ms is the kernel's default.
const PERIOD_US: u64 = 100_000;

impl CpuMax {
    /// `percent` percent of one processor, from 1 on.
    pub fn new(percent: u32) -> Option<Self> {
        (1..=PERCENT_MAX).contains(&percent).then_some(Self(percent))
    }

    /// The percentage.
    pub const fn percent(self) -> u32 {
        self.0
    }

    /// Quota and period in µs, as `cpu.max` takes them.
    pub fn quota_and_period(self) -> (u64, u64) {
        (u64::from(self.0) * PERIOD_US / 100, PERIOD_US)
    }
}

impl fmt::Display for CpuMax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

impl Value for CpuMax {
    fn expected() -> String {
        "a share of one processor's time, such as \"50%\" or \"250%\"".to_owned()
    }

    fn from_text(text: &str) -> Option<Self> {
        let number = text.strip_suffix('%')?;
        let digits = number.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| number.parse().ok().and_then(Self::new))?
    }
}

number_on_the_wire!(CpuMax[], u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_becomes_a_quota() {
        let half = CpuMax::from_text("50%").unwrap();
        assert_eq!(half.quota_and_period(), (50_000, 100_000));
        assert_eq!(half.to_string(), "50%");
    }

    #[test]
    fn everything_else_is_refused() {
        for text in ["", "%", "50", "0%", "+5%", "1.5%", "819201%", "4294967296%"] {
            assert_eq!(CpuMax::from_text(text), None, "{text:?}");
        }
    }
}
