use std::fmt;
use std::time::Duration;

use super::civil::{self, Date};

/// What the clocks show. Waits are counted by the one that never jumps; the other says which day it
/// is, and may jump at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Since the machine was booted, suspended times included (`CLOCK_BOOTTIME`).
    pub since_boot: Duration,
    /// The time of day (`CLOCK_REALTIME`).
    pub wall: Wall,
}

/// Unix time in seconds; its text is `Sat 2026-11-28 02:13 UTC`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Wall(pub i64);

impl Now {
    /// When the clock since boot will show what `wall` says, if no clock jumps; now if that is past.
    pub fn since_boot_at(self, wall: Wall) -> Duration {
        self.since_boot.saturating_add(self.wall.until(wall))
    }

    /// What the time of day will be then, if no clock jumps; now if that is past.
    pub fn wall_at(self, since_boot: Duration) -> Wall {
        self.wall.after(since_boot.saturating_sub(self.since_boot))
    }
}

impl Wall {
    /// So much later.
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add_unsigned(wait.as_secs()))
    }

    /// How long it is until `later`; nothing if that is past.
    pub fn until(self, later: Self) -> Duration {
        let seconds = later.0.saturating_sub(self.0);
        Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    }
}

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.0.div_euclid(civil::DAY);
        let minutes = self.0.rem_euclid(civil::DAY) / 60;
        let Date { year, month, day } = Date::of_day(days);
        let weekday = civil::weekday_name(days);
        let (hour, minute) = (minutes / 60, minutes % 60);
        write!(f, "{weekday} {year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_to_the_minute() {
        assert_eq!(Wall(0).to_string(), "Thu 1970-01-01 00:00 UTC");
        assert_eq!(Wall(1_795_832_039).to_string(), "Sat 2026-11-28 02:13 UTC");
        assert_eq!(Wall(-1).to_string(), "Wed 1969-12-31 23:59 UTC");
    }

    #[test]
    fn a_clock_at_its_end_does_not_wrap() {
        let now = Now { since_boot: Duration::MAX, wall: Wall(i64::MAX) };
        assert_eq!(now.wall_at(Duration::MAX), Wall(i64::MAX));
        assert_eq!(now.since_boot_at(Wall(i64::MIN)), Duration::MAX);
        assert_eq!(Wall(i64::MIN).until(Wall(i64::MAX)), Duration::from_secs(i64::MAX as u64));
        assert!(!Wall(i64::MAX).to_string().is_empty() && !Wall(i64::MIN).to_string().is_empty());
    }
}
