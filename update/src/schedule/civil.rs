//! The Gregorian calendar, by days since 1970-01-01.

/// Seconds in a day.
pub(super) const DAY: i64 = 86_400;

/// Three thousand million years: what is beyond would not fit the arithmetic in seconds.
const DAYS_MAX: i64 = 1 << 40;

/// A day of a year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Date {
    pub(super) year: i64,
    /// 1 to 12
    pub(super) month: i64,
    /// 1 to 31
    pub(super) day: i64,
}

impl Date {
    /// The date of a day since 1970-01-01, by the algorithm `civil_from_days` of Howard Hinnant's
    /// "chrono-Compatible Low-Level Date Algorithms".
    pub(super) fn of_day(days: i64) -> Self {
        let shifted = days.clamp(-DAYS_MAX, DAYS_MAX) + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self { year, month, day: day_of_year - (153 * from_march + 2) / 5 + 1 }
    }

    /// The day since 1970-01-01, by `days_from_civil` of the same.
    pub(super) fn days(self) -> i64 {
        let year = self.year - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let from_march = (self.month + 9) % 12;
        let day_of_year = (153 * from_march + 2) / 5 + self.day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * 146_097 + day_of_era - 719_468
    }
}

pub(super) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

pub(super) fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// From Monday, which is 0.
pub(super) fn weekday(days: i64) -> i64 {
    days.saturating_add(3).rem_euclid(7)
}

pub(super) fn weekday_name(days: i64) -> &'static str {
    match weekday(days) {
        0 => "Mon",
        1 => "Tue",
        2 => "Wed",
        3 => "Thu",
        4 => "Fri",
        5 => "Sat",
        _ => "Sun",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_eight_centuries_is_the_next_one() {
        let mut expected = Date { year: 1600, month: 1, day: 1 };
        for days in expected.days()..expected.days() + 800 * 366 {
            assert_eq!((Date::of_day(days), expected.days()), (expected, days));
            expected = next(expected);
        }
    }

    fn next(Date { year, month, day }: Date) -> Date {
        match (day < days_in_month(year, month), month) {
            (true, _) => Date { year, month, day: day + 1 },
            (false, 12) => Date { year: year + 1, month: 1, day: 1 },
            (false, _) => Date { year, month: month + 1, day: 1 },
        }
    }
}
