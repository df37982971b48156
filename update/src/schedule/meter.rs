use std::time::Duration;

/// What has been fetched within a day. The day begins with its first byte and is counted by the
/// clock since boot, which does not jump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meter {
    began: Duration,
    spent: u64,
}

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Meter {
    /// So many more bytes have been fetched.
    pub fn after(self, bytes: u64, since_boot: Duration) -> Self {
        match self.is_over(since_boot) || self.spent == 0 {
            true => Self { began: since_boot, spent: bytes },
            false => Self { spent: self.spent.saturating_add(bytes), ..self },
        }
    }

    /// How many bytes of `limit` are left.
    pub fn left(&self, limit: u64, since_boot: Duration) -> u64 {
        if self.is_over(since_boot) { limit } else { limit.saturating_sub(self.spent) }
    }

    /// When the next day begins, since boot.
    pub fn renewed(&self) -> Duration {
        self.began.saturating_add(DAY)
    }

    fn is_over(&self, since_boot: Duration) -> bool {
        since_boot >= self.renewed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_with_its_first_byte() {
        let hour = Duration::from_secs(3600);
        let meter = Meter::default().after(60, 30 * hour).after(30, 40 * hour);
        assert_eq!(meter.left(100, 41 * hour), 10);
        assert_eq!(meter.left(50, 41 * hour), 0);
        assert_eq!(meter.renewed(), 54 * hour);
        assert_eq!(meter.left(100, 54 * hour), 100);
        assert_eq!(meter.after(1, 54 * hour).left(100, 55 * hour), 99);
        assert_eq!(meter.after(u64::MAX, 41 * hour).left(100, 41 * hour), 0);
    }
}
