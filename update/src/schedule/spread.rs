use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use pintle_verify::{Digest, Percent};

/// The machine's id, by machine-id(5): 128 random bits that stay. It spreads a fleet over time and
/// is shown to nobody.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MachineId([u8; 16]);

/// What a place is for; the shares of one machine for different purposes have nothing in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The first check after boot.
    FirstCheck,
    /// The checks after it, once an interval.
    Check,
    /// The wait after so many failures in a row.
    Retry(u32),
    /// A maintenance window.
    Window,
    /// The rollout of the release with this sequence.
    Rollout(u64),
}

/// Where a machine stands among all: a fraction from 0 to 1 in units of 2^-64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u64);

impl MachineId {
    /// The id of 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The machine's share for a purpose: always the same, and as good as random among machines.
    pub fn share(&self, purpose: Purpose) -> Share {
        let (tag, number) = purpose.parts();
        let message = [DOMAIN, &[tag], &self.0, &number.to_le_bytes()].concat();
        let digest = Digest::of(&message);
        let first = digest.as_bytes().first_chunk().copied().unwrap_or_default();
        Share(u64::from_le_bytes(first))
    }
}

/// So that no other use of the id gives the same bytes.
const DOMAIN: &[u8] = b"pintle spread v1\0";

impl Purpose {
    fn parts(self) -> (u8, u64) {
        match self {
            Self::FirstCheck => (0, 0),
            Self::Check => (1, 0),
            Self::Retry(failures) => (2, failures.into()),
            Self::Window => (3, 0),
            Self::Rollout(sequence) => (4, sequence),
        }
    }
}

impl Share {
    /// That share of a time span: at least its begin, and before its end.
    pub fn within(self, span: Duration) -> Duration {
        let nanoseconds = span.as_nanos().min(u64::MAX.into());
        let share = (nanoseconds * u128::from(self.0)) >> 64;
        Duration::from_nanos(u64::try_from(share).unwrap_or(u64::MAX))
    }

    /// Whether the share is among the first so many percent.
    pub fn is_among(self, first: Percent) -> bool {
        u128::from(self.0) * 100 < u128::from(first.get()) << 64
    }
}

/// 32 hexadecimal digits, as in `/etc/machine-id`.
impl FromStr for MachineId {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Self, crate::Error> {
        let is_id = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| is_id);
        let number = number.ok_or(crate::Error::MachineId)?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl fmt::Debug for MachineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MachineId")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_machine_id_says() {
        let id = "0123456789abcdef0123456789ABCDEF".parse::<MachineId>().unwrap();
        assert_eq!(id.0[..4], [0x01, 0x23, 0x45, 0x67]);
        for bad in ["", "uninitialized", &"0".repeat(31), &"0".repeat(33), &"+".repeat(32)] {
            let error = bad.parse::<MachineId>().unwrap_err();
            assert_eq!(error.to_string(), "cannot read machine id: expected 32 hexadecimal digits");
        }
    }

    #[test]
    fn a_share_is_within_its_span() {
        let hour = Duration::from_secs(3600);
        assert_eq!(Share(0).within(hour), Duration::ZERO);
        assert_eq!(Share(1 << 63).within(hour), hour / 2);
        assert!(Share(u64::MAX).within(hour) < hour);
        assert!(Share(u64::MAX).within(Duration::MAX) < Duration::MAX);
    }
}
