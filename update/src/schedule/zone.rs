use std::str::FromStr;

use super::Wall;
use super::civil::{self, Date};
use crate::Error;

/// How a zone's clocks go, by a POSIX `TZ` rule (IEEE Std 1003.1, section 8.3) with the extension of
/// RFC 9636, section 3.3.1, that times of change may be from -167 to 167 hours.
///
/// It needs no time zone database, and so knows the rule of today only, which is what the days to
/// come go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone {
    standard: Offset,
    daylight: Option<Daylight>,
}

/// Seconds to add to UTC.
type Offset = i64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Daylight {
    offset: Offset,
    begins: Change,
    ends: Change,
}

/// When clocks are changed, by what they show before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Change {
    day: YearDay,
    /// Seconds after midnight.
    time: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum YearDay {
    /// `Jn`: 1 to 365, February 29 not counted.
    WithoutLeap(i64),
    /// `n`: 0 to 365, February 29 counted.
    WithLeap(i64),
    /// `Mm.w.d`: the weekday (0 is Sunday) of the month's week 1 to 5, where 5 is the last.
    Weekday { month: i64, week: i64, weekday: i64 },
}

/// A moment at which the offset changes.
#[derive(Clone, Copy)]
struct Transition {
    at: i64,
    before: Offset,
    after: Offset,
}

impl Zone {
    /// UTC.
    pub const UTC: Self = Self { standard: 0, daylight: None };

    /// The rule in the last line of a time zone file (RFC 9636), such as `/etc/localtime`; none in
    /// other bytes, or where the zone has none.
    pub fn of_tzif(bytes: &[u8]) -> Option<Self> {
        let (b'2'.., lines) = (*bytes.strip_prefix(b"TZif")?.first()?, bytes.strip_suffix(b"\n")?)
        else {
            return None;
        };
        std::str::from_utf8(lines.rsplit(|byte| *byte == b'\n').next()?).ok()?.parse().ok()
    }

    /// What clocks show, as seconds since 1970-01-01 00:00 by themselves.
    pub fn local(&self, wall: Wall) -> i64 {
        wall.0.saturating_add(self.offset(wall))
    }

    /// The first moment at which clocks show `local` or more: where they are set back over it, the
    /// earlier one; where they are set forward over it, that of the change.
    pub fn first_at(&self, local: i64) -> Wall {
        let skipped = self.transitions(local).find(|change| change.skips(local));
        let moments = self.offsets().map(|offset| Wall(local.saturating_sub(offset)));
        let shown = moments.into_iter().filter(|wall| self.local(*wall) == local).min();
        shown.or(skipped.map(|change| Wall(change.at))).unwrap_or(Wall(local))
    }

    fn offset(&self, wall: Wall) -> Offset {
        let past = self.transitions(wall.0).filter(|change| change.at <= wall.0);
        let latest = past.max_by_key(|change| (change.at, change.after != self.standard));
        latest.map_or(self.standard, |change| change.after)
    }

    fn offsets(&self) -> [Offset; 2] {
        [self.standard, self.daylight.map_or(self.standard, |daylight| daylight.offset)]
    }

    /// Those of the year before, of the year and of the one after.
    fn transitions(&self, around: i64) -> impl Iterator<Item = Transition> {
        let year = Date::of_day(around.div_euclid(civil::DAY)).year;
        let daylight = self.daylight.into_iter();
        let standard = self.standard;
        daylight.flat_map(move |daylight| {
            (year - 1..=year + 1).flat_map(move |year| daylight.transitions(standard, year))
        })
    }
}

impl Transition {
    fn skips(self, local: i64) -> bool {
        (self.at + self.before..self.at + self.after).contains(&local)
    }
}

impl Daylight {
    fn transitions(self, standard: Offset, year: i64) -> [Transition; 2] {
        let change = |change: Change, before, after| Transition {
            at: change.local(year) - before,
            before,
            after,
        };
        [change(self.begins, standard, self.offset), change(self.ends, self.offset, standard)]
    }
}

impl Change {
    fn local(self, year: i64) -> i64 {
        self.day.days(year) * civil::DAY + self.time
    }
}

impl YearDay {
    /// Since 1970-01-01.
    fn days(self, year: i64) -> i64 {
        let new_year = Date { year, month: 1, day: 1 }.days();
        match self {
            Self::WithoutLeap(day) => {
                let after_february = day >= 60 && civil::is_leap(year);
                new_year + day - 1 + i64::from(after_february)
            }
            Self::WithLeap(day) => new_year + day,
            Self::Weekday { month, week, weekday } => {
                let first = Date { year, month, day: 1 }.days();
                let to_weekday = (weekday - (civil::weekday(first) + 1)).rem_euclid(7);
                let day = to_weekday + (week - 1) * 7;
                let is_too_late = day >= civil::days_in_month(year, month);
                first + if is_too_late { day - 7 } else { day }
            }
        }
    }
}

impl FromStr for Zone {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut rest = Rest(text.as_bytes());
        let zone = zone(&mut rest).filter(|_| rest.0.is_empty());
        zone.ok_or_else(|| Error::Zone(text.chars().take(SHOWN_MAX).collect()))
    }
}

/// The longest rule of the time zone database has 34 characters.
const SHOWN_MAX: usize = 64;
/// An hour, in seconds.
const HOUR: i64 = 3600;

/// What has not been read yet.
struct Rest<'t>(&'t [u8]);

impl Rest<'_> {
    fn take(&mut self, byte: u8) -> Option<()> {
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(())
    }

    fn take_while(&mut self, condition: fn(&u8) -> bool) -> usize {
        let length = self.0.iter().take_while(|byte| condition(byte)).count();
        self.0 = self.0.get(length..).unwrap_or_default();
        length
    }

    /// A number of one to three digits, up to `max`.
    fn number(&mut self, max: i64) -> Option<i64> {
        let digits = self.0;
        let length = self.take_while(u8::is_ascii_digit);
        let digits = digits.get(..length).filter(|_| (1..=3).contains(&length))?;
        let number = digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
        (number <= max).then_some(number)
    }
}

fn zone(rest: &mut Rest<'_>) -> Option<Zone> {
    let standard = named_offset(rest)?;
    if rest.0.is_empty() {
        return Some(Zone { standard, daylight: None });
    }
    name(rest)?;
    let offset = match rest.0.first()? {
        b',' => standard + HOUR,
        _ => -time(rest, 24)?,
    };
    rest.take(b',')?;
    let begins = change(rest)?;
    rest.take(b',')?;
    let ends = change(rest)?;
    Some(Zone { standard, daylight: Some(Daylight { offset, begins, ends }) })
}

/// POSIX counts what is added to local time to get UTC.
fn named_offset(rest: &mut Rest<'_>) -> Option<Offset> {
    name(rest)?;
    Some(-time(rest, 24)?)
}

/// Three letters or more, or anything alphanumeric with its sign between `<` and `>`.
fn name(rest: &mut Rest<'_>) -> Option<()> {
    let is_quoted = rest.take(b'<').is_some();
    let length = match is_quoted {
        true => rest.take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-')),
        false => rest.take_while(u8::is_ascii_alphabetic),
    };
    if is_quoted {
        rest.take(b'>')?;
    }
    (3..=NAME_MAX).contains(&length).then_some(())
}

/// The longest name of the time zone database has six characters.
const NAME_MAX: usize = 30;

/// `[+-]h[h[h]][:mm[:ss]]`, in seconds.
fn time(rest: &mut Rest<'_>, hours_max: i64) -> Option<i64> {
    let sign = match rest.0.first()? {
        b'+' | b'-' => sign(rest)?,
        _ => 1,
    };
    let hours = rest.number(hours_max)?;
    let minutes = sixtieths(rest)?;
    let seconds = if minutes.is_some() { sixtieths(rest)? } else { None };
    Some(sign * (hours * HOUR + minutes.unwrap_or(0) * 60 + seconds.unwrap_or(0)))
}

fn sign(rest: &mut Rest<'_>) -> Option<i64> {
    rest.take(b'+').map(|()| 1).or_else(|| rest.take(b'-').map(|()| -1))
}

/// `Some(None)` where there is no colon.
fn sixtieths(rest: &mut Rest<'_>) -> Option<Option<i64>> {
    match rest.take(b':') {
        Some(()) => rest.number(59).map(Some),
        None => Some(None),
    }
}

/// `day[/time]`
fn change(rest: &mut Rest<'_>) -> Option<Change> {
    let day = year_day(rest)?;
    let time = match rest.take(b'/') {
        Some(()) => time(rest, 167)?,
        None => 2 * HOUR,
    };
    Some(Change { day, time })
}

fn year_day(rest: &mut Rest<'_>) -> Option<YearDay> {
    match rest.0.first()? {
        b'J' => {
            rest.take(b'J')?;
            Some(YearDay::WithoutLeap(rest.number(365).filter(|day| *day >= 1)?))
        }
        b'M' => weekday(rest),
        _ => rest.number(365).map(YearDay::WithLeap),
    }
}

fn weekday(rest: &mut Rest<'_>) -> Option<YearDay> {
    rest.take(b'M')?;
    let month = rest.number(12).filter(|month| *month >= 1)?;
    rest.take(b'.')?;
    let week = rest.number(5).filter(|week| *week >= 1)?;
    rest.take(b'.')?;
    let weekday = rest.number(6)?;
    Some(YearDay::Weekday { month, week, weekday })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_are_none_are_refused() {
        for text in [
            "",
            "UTC",
            "UT0",
            "UTC0 ",
            " UTC0",
            "UTC25",
            "UTC1:60",
            "UTC0000",
            "<UTC0",
            "<+1>-1",
            "CET-1CEST",
            "CET-1CEST,M3.5.0",
            "CET-1CEST,M3.5.0,",
            "CET-1CEST,M0.5.0,M10.5.0",
            "CET-1CEST,M3.6.0,M10.5.0",
            "CET-1CEST,M3.5.7,M10.5.0",
            "CET-1CEST,J0,J5",
            "CET-1CEST,366,5",
            "CET-1CEST,M3.5.0/168,M10.5.0",
            "CET-1CEST,M3.5.0,M10.5.0,",
        ] {
            assert!(text.parse::<Zone>().is_err(), "{text:?}");
        }
        let long = "x".repeat(10_000).parse::<Zone>().unwrap_err().to_string();
        assert!(long.len() < 150, "{long}");
    }

    #[test]
    fn a_file_has_its_rule_in_the_last_line() {
        assert_eq!(Zone::of_tzif(b"TZif2\0\nUTC0\n"), Some(Zone::UTC));
        for bytes in [&b""[..], b"\n", b"TZif", b"TZif\0\nUTC0\n", b"TZif2\nUTC0", b"TZif2\n\n"] {
            assert_eq!(Zone::of_tzif(bytes), None);
        }
    }

    /// RFC 9636, section 3.3.1: "XXX3EDT4,0/0,J365/23" is daylight time all year.
    #[test]
    fn a_zone_can_have_daylight_time_all_year() {
        let zone: Zone = "XXX3EDT4,0/0,J365/23".parse().unwrap();
        for hour in 0..2 * 366 * 24 {
            let wall = Wall(1_703_980_800 + hour * HOUR);
            assert_eq!(zone.local(wall), wall.0 - 4 * HOUR, "{wall}");
        }
    }

    #[test]
    fn moments_that_clocks_skip_or_show_twice() {
        let berlin: Zone = "CET-1CEST,M3.5.0,M10.5.0/3".parse().unwrap();
        let local = |day: (i64, i64, i64), hour: i64| {
            let (year, month, day) = day;
            Date { year, month, day }.days() * civil::DAY + hour * 1800
        };
        // On 2026-03-29 02:00 became 03:00 at 01:00 UTC.
        let spring = (2026, 3, 29);
        assert_eq!(berlin.first_at(local(spring, 3)).0, local(spring, 1));
        assert_eq!(berlin.first_at(local(spring, 4)).0, local(spring, 2));
        assert_eq!(berlin.first_at(local(spring, 5)).0, local(spring, 2));
        assert_eq!(berlin.first_at(local(spring, 6)).0, local(spring, 2));
        // On 2026-10-25 03:00 became 02:00 at 01:00 UTC: 02:30 was first at 00:30 UTC.
        let autumn = (2026, 10, 25);
        assert_eq!(berlin.first_at(local(autumn, 5)).0, local(autumn, 1));
        assert_eq!(berlin.first_at(local(autumn, 6)).0, local(autumn, 4));
    }
}
