//! Time zones, as the rule by which a zone's clocks go from now on.

use serde::{Deserialize, Serialize};

/// The time zone of a calendar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimeZone {
    /// A rule that was known when the image was built.
    Rule(PosixRule),
    /// The rule in the last line of the machine's `/etc/localtime`, or UTC where there is none.
    Local,
}

text! {
    /// POSIX's `TZ` (IEEE Std 1003.1, chapter 8.3), as in the last line of a file of the time zone
    /// database (RFC 9636): `CET-1CEST,M3.5.0,M10.5.0/3`.
    ///
    /// The compiler has checked it; a value that comes of bytes is known to be printable only.
    pub struct PosixRule: "a POSIX time zone rule, such as \"CET-1CEST,M3.5.0,M10.5.0/3\"",
    |text| (4..=RULE_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
}

/// The longest rule of the time zone database has 34 bytes.
const RULE_MAX: usize = 64;
