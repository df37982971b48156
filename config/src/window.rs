//! Calendar windows: days of the week and times of day.

use std::fmt;

use crate::Value;

/// One time span that comes again every week, as `"Mon..Fri 02:00-04:00"`; without days, every day.
///
/// The days are those on which it begins; one that ends before it begins reaches into the next day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CalendarWindow {
    days: u8,
    opens: u16,
    closes: u16,
}

/// Minutes of a day.
const DAY: u16 = 24 * 60;
/// All seven days.
const EVERY_DAY: u8 = 0x7f;
const NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

impl CalendarWindow {
    /// The days on which it begins: bit 0 is Monday, bit 6 Sunday, and there is at least one.
    pub const fn days(self) -> u8 {
        self.days
    }

    /// When it begins, in minutes after midnight: 0 to 1439.
    pub const fn opens(self) -> u16 {
        self.opens
    }

    /// How long it is open by the clock, in minutes: 1 to 1440.
    pub const fn length(self) -> u16 {
        if self.closes > self.opens {
            self.closes - self.opens
        } else {
            self.closes + DAY - self.opens
        }
    }
}

impl fmt::Display for CalendarWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days != EVERY_DAY {
            write!(f, "{} ", show_days(self.days))?;
        }
        let [opens, closes] = [self.opens, self.closes].map(|time| (time / 60, time % 60));
        write!(f, "{:02}:{:02}-{:02}:{:02}", opens.0, opens.1, closes.0, closes.1)
    }
}

impl Value for CalendarWindow {
    fn expected() -> String {
        "days of the week and a time span, such as \"Mon..Fri 02:00-04:00\", \"Sat,Sun 00:00-24:00\" \
         or \"22:00-02:00\""
            .to_owned()
    }

    fn from_text(text: &str) -> Option<Self> {
        let (days, span) = text.split_once(' ').unwrap_or(("Mon..Sun", text));
        let (opens, closes) = span.split_once('-')?;
        let (opens, closes) = (time(opens)?, time(closes)?);
        let is_span = opens < DAY && opens != closes;
        is_span.then_some(Self { days: read_days(days)?, opens, closes })
    }
}

text_on_the_wire!(CalendarWindow);

/// `Mon..Fri,Sun`
fn read_days(text: &str) -> Option<u8> {
    text.split(',').try_fold(0, |days, part| Some(days | read_range(part)?))
}

/// A day, or a range that may reach past Sunday.
fn read_range(text: &str) -> Option<u8> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let (first, last) = (day(first)?, day(last)?);
    let length = (last + 7 - first) % 7;
    Some((first..=first + length).fold(0, |days, day| days | 1 << (day % 7)))
}

fn day(text: &str) -> Option<usize> {
    NAMES.iter().position(|name| *name == text)
}

/// `HH:MM`, from `00:00` to `24:00`.
fn time(text: &str) -> Option<u16> {
    let [h1, h0, b':', m1, m0] = *text.as_bytes() else { return None };
    let (hours, minutes) = (two_digits(h1, h0)?, two_digits(m1, m0)?);
    let time = hours * 60 + minutes;
    (minutes < 60 && time <= DAY).then_some(time)
}

fn two_digits(tens: u8, ones: u8) -> Option<u16> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| u16::from(byte - b'0'));
    Some(digit(tens)? * 10 + digit(ones)?)
}

fn show_days(days: u8) -> String {
    let named = NAMES.iter().enumerate().filter(|(number, _)| days & 1 << number != 0);
    named.map(|(_, name)| *name).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Option<(u8, u16, u16)> {
        let window = CalendarWindow::from_text(text)?;
        assert_eq!(CalendarWindow::from_text(&window.to_string()), Some(window), "{window}");
        Some((window.days(), window.opens(), window.length()))
    }

    #[test]
    fn days_and_times_are_read_and_written() {
        assert_eq!(parts("Mon..Fri 02:00-04:00"), Some((0b001_1111, 120, 120)));
        assert_eq!(parts("Sat,Sun 00:00-24:00"), Some((0b110_0000, 0, 1440)));
        assert_eq!(parts("22:30-02:15"), Some((EVERY_DAY, 1350, 225)));
        assert_eq!(parts("Sun..Tue,Thu 23:59-00:00"), Some((0b100_1011, 1439, 1)));
        assert_eq!(parts("Mon 12:00-11:59"), Some((1, 720, 1439)));
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            " ",
            "02:00",
            "02:00-",
            "2:00-4:00",
            "02:00-02:00",
            "02:00-24:01",
            "24:00-02:00",
            "02:60-04:00",
            "+2:00-04:00",
            "Mon",
            "Mon 02:00",
            " 02:00-04:00",
            "Mon  02:00-04:00",
            "mon 02:00-04:00",
            "Monday 02:00-04:00",
            "Mon. 02:00-04:00",
            "Mon.. 02:00-04:00",
            "Mon,, 02:00-04:00",
            "Mon 02:00-04:00 ",
            "Mon 02:00–04:00",
        ] {
            assert_eq!(CalendarWindow::from_text(text), None, "{text:?}");
        }
    }
}
