use std::time::Duration;

use super::{MachineId, Purpose, Wall, Zone, civil};

/// When a machine may reboot by itself: windows that come again every week, or always.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    zone: Zone,
    windows: Vec<Window>,
}

/// A time span that begins at the same time of day on some days of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The days on which it begins: bit 0 is Monday, bit 6 Sunday.
    pub days: u8,
    /// When it begins, in minutes after midnight by the clock.
    pub opens: u16,
    /// How long it is by the clock, in minutes, at most a day.
    pub length: u16,
}

/// One time that a window is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The first moment in it.
    pub opens: Wall,
    /// The first moment after it.
    pub closes: Wall,
}

/// When it is a machine's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Now.
    Now,
    /// At this time, in a window that is open then.
    At(Wall),
    /// Not within the coming weeks: clocks skip every window.
    Never,
}

/// Windows come again every week; a week that clocks skip one in leaves the next.
const DAYS_AHEAD: i64 = 15;
/// The end of a window in which no machine's turn begins: a reboot and its trial take minutes.
const MARGIN_MAX: Duration = Duration::from_secs(15 * 60);
/// Of a short window, the margin is this share.
const MARGIN_SHARE: u32 = 4;

impl Calendar {
    /// Always.
    pub const ALWAYS: Self = Self { zone: Zone::UTC, windows: Vec::new() };

    /// These windows by the clocks of `zone`; always, where there are none.
    pub fn new(zone: Zone, windows: Vec<Window>) -> Self {
        Self { zone, windows }
    }

    /// When a machine may reboot, as of `wall`.
    ///
    /// Its turn begins at its own place in a window, so that a fleet does not reboot in the
    /// window's first second, and lasts until the window closes.
    pub fn turn(&self, machine: &MachineId, wall: Wall) -> Turn {
        if self.windows.is_empty() {
            return Turn::Now;
        }
        match self.spans(wall).map(|span| span.turn_of(machine)).min() {
            Some(turn) if turn <= wall => Turn::Now,
            Some(turn) => Turn::At(turn),
            None => Turn::Never,
        }
    }

    /// The spans of the coming weeks that have not ended.
    pub fn spans(&self, wall: Wall) -> impl Iterator<Item = Span> {
        let today = self.zone.local(wall).div_euclid(civil::DAY);
        let days = today.saturating_sub(1)..=today.saturating_add(DAYS_AHEAD);
        let spans = days.flat_map(|day| self.windows.iter().map(move |window| (day, window)));
        spans
            .filter_map(|(day, window)| window.span_on(day, &self.zone))
            .filter(move |span| span.closes > wall)
    }
}

impl Window {
    /// `None` on other days, and where clocks skip all of it.
    fn span_on(&self, day: i64, zone: &Zone) -> Option<Span> {
        if self.days & 1 << civil::weekday(day) == 0 {
            return None;
        }
        let opens = day.saturating_mul(civil::DAY).saturating_add(i64::from(self.opens) * 60);
        let closes = opens.saturating_add(i64::from(self.length) * 60);
        let span = Span { opens: zone.first_at(opens), closes: zone.first_at(closes) };
        (span.opens < span.closes).then_some(span)
    }
}

impl Span {
    /// When the machine's turn begins in it.
    pub fn turn_of(self, machine: &MachineId) -> Wall {
        let length = self.opens.until(self.closes);
        let margin = (length / MARGIN_SHARE).min(MARGIN_MAX);
        self.opens.after(machine.share(Purpose::Window).within(length.saturating_sub(margin)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";
    const HOUR: i64 = 3600;
    /// Monday 2026-11-23 00:00 UTC.
    const MONDAY: i64 = 1_795_392_000;

    fn calendar(zone: &str, windows: &[(u8, u16, u16)]) -> Calendar {
        let window = |(days, opens, length): &(u8, u16, u16)| Window {
            days: *days,
            opens: *opens,
            length: *length,
        };
        Calendar::new(zone.parse().unwrap(), windows.iter().map(window).collect())
    }

    fn first(calendar: &Calendar, wall: i64) -> [String; 2] {
        let span = calendar.spans(Wall(wall)).min().unwrap();
        [span.opens.to_string(), span.closes.to_string()]
    }

    #[test]
    fn windows_are_on_their_days_and_end_the_day_after() {
        let nights = calendar("UTC0", &[(0b001_0001, 22 * 60, 4 * 60)]);
        let monday = ["Mon 2026-11-23 22:00 UTC", "Tue 2026-11-24 02:00 UTC"];
        assert_eq!(first(&nights, MONDAY), monday);
        assert_eq!(first(&nights, MONDAY + 25 * HOUR), monday);
        let friday = ["Fri 2026-11-27 22:00 UTC", "Sat 2026-11-28 02:00 UTC"];
        assert_eq!(first(&nights, MONDAY + 26 * HOUR), friday);
    }

    #[test]
    fn windows_go_by_the_clocks_of_their_zone() {
        let berlin = calendar(BERLIN, &[(0b100_0000, 120, 120)]);
        assert_eq!(
            first(&berlin, MONDAY),
            ["Sun 2026-11-29 01:00 UTC", "Sun 2026-11-29 03:00 UTC"]
        );
    }

    /// On 2027-03-28 clocks in Berlin go from 02:00 to 03:00 at 01:00 UTC.
    #[test]
    fn a_window_that_clocks_skip_is_shorter_or_not_at_all() {
        const SATURDAY: i64 = 1_806_105_600;
        let half = calendar(BERLIN, &[(0b100_0000, 150, 60)]);
        assert_eq!(
            first(&half, SATURDAY),
            ["Sun 2027-03-28 01:00 UTC", "Sun 2027-03-28 01:30 UTC"]
        );
        let whole = calendar(BERLIN, &[(0b100_0000, 120, 60)]);
        assert_eq!(
            first(&whole, SATURDAY),
            ["Sun 2027-04-04 00:00 UTC", "Sun 2027-04-04 01:00 UTC"]
        );
    }

    /// On 2026-10-25 clocks in Berlin go from 03:00 to 02:00 at 01:00 UTC.
    #[test]
    fn a_window_that_clocks_show_twice_opens_the_first_time() {
        const SATURDAY: i64 = 1_792_800_000;
        let half_past_two = calendar(BERLIN, &[(0b100_0000, 150, 60)]);
        assert_eq!(
            first(&half_past_two, SATURDAY),
            ["Sun 2026-10-25 00:30 UTC", "Sun 2026-10-25 02:30 UTC"]
        );
    }

    #[test]
    fn a_fleet_is_spread_over_the_window() {
        let calendar = calendar("UTC0", &[(0b111_1111, 120, 120)]);
        let mut minutes = [0; 105];
        for number in 0..10_500u128 {
            let machine = MachineId::from_bytes(number.to_be_bytes());
            let Turn::At(at) = calendar.turn(&machine, Wall(MONDAY)) else { panic!("{number}") };
            minutes[((at.0 - MONDAY - 2 * HOUR) / 60) as usize] += 1;
            assert_eq!(calendar.turn(&machine, at), Turn::Now);
            assert_eq!(calendar.turn(&machine, Wall(MONDAY + 4 * HOUR - 1)), Turn::Now);
            let closed = calendar.turn(&machine, Wall(MONDAY + 4 * HOUR));
            assert_eq!(closed, Turn::At(Wall(at.0 + 24 * HOUR)));
        }
        assert!(minutes.iter().all(|count| (50..150).contains(count)), "{minutes:?}");
    }

    #[test]
    fn the_end_of_time_is_no_panic() {
        let calendar = calendar(BERLIN, &[(0x7f, 0, 1440)]);
        for wall in [i64::MIN, i64::MAX, i64::MIN + 1, i64::MAX - 1] {
            assert!(calendar.spans(Wall(wall)).count() < 40);
        }
        assert_eq!(
            Calendar::ALWAYS.turn(&MachineId::from_bytes([0; 16]), Wall(i64::MAX)),
            Turn::Now
        );
    }
}
