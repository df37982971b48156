//! A zone's name to its rule, by the image's copy of the time zone database.

use super::Context;
use super::diagnostic::Mistake;
use super::document::{Node, quote};
use super::read::FromToml;
use super::tree::Tree;
use crate::Value;
use crate::name::AbsolutePath;
use crate::zone::{PosixRule, TimeZone};

/// Where the database is, on the image and on most machines.
const DATABASE: &str = "/usr/share/zoneinfo";
/// The largest file of the database has 4 KiB in its old, long form.
const FILE_MAX: usize = 64 << 10;

impl FromToml for TimeZone {
    fn expected() -> String {
        "\"UTC\", \"local\", the name of a zone in the image's /usr/share/zoneinfo, or a POSIX rule \
         such as \"CET-1CEST,M3.5.0,M10.5.0/3\""
            .to_owned()
    }

    fn from_toml(node: Node<'_>, cx: &mut Context<'_>) -> Option<Self> {
        let zone = node.value.as_str().and_then(|text| read(text, cx.tree));
        if zone.is_none() {
            let mistake = Mistake::at(node.place, node.describe(), Self::expected());
            cx.report(
                mistake.suggest(node.value.as_str().and_then(|name| elsewhere(name, cx.tree))),
            );
        }
        zone
    }
}

fn read(text: &str, tree: &dyn Tree) -> Option<TimeZone> {
    let file = |path: &str| tree.read(path, FILE_MAX);
    match text {
        "local" => Some(TimeZone::Local),
        "UTC" => rule("UTC0").map(TimeZone::Rule),
        text => named(text, file).or_else(|| rule(text)).map(TimeZone::Rule),
    }
}

/// What could be written where only the building machine knows the name. It is not taken as it
/// stands: an image is a function of its input, whoever builds it.
fn elsewhere(name: &str, tree: &dyn Tree) -> Option<String> {
    named(name, |path| tree.read_elsewhere(path, FILE_MAX)).map(|rule| quote(rule.as_str()))
}

fn named(name: &str, file: impl Fn(&str) -> Option<Vec<u8>>) -> Option<PosixRule> {
    let path = AbsolutePath::from_text(&format!("{DATABASE}/{name}"))?;
    rule(footer(&file(path.as_str())?)?)
}

/// The last line of a file of version 2 or later (RFC 9636, section 3.3).
fn footer(bytes: &[u8]) -> Option<&str> {
    let (b'2'.., lines) = (*bytes.strip_prefix(b"TZif")?.first()?, bytes.strip_suffix(b"\n")?)
    else {
        return None;
    };
    let line = lines.rsplit(|byte| *byte == b'\n').next()?;
    std::str::from_utf8(line).ok()
}

fn rule(text: &str) -> Option<PosixRule> {
    jiff::tz::TimeZone::posix(text).ok()?;
    PosixRule::from_text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(footer: &[u8]) -> Vec<u8> {
        [b"TZif2", &[0; 39][..], b"TZif2", &[0; 39], b"\n", footer, b"\n"].concat()
    }

    #[test]
    fn the_rule_is_the_last_line() {
        assert_eq!(
            footer(&file(b"CET-1CEST,M3.5.0,M10.5.0/3")),
            Some("CET-1CEST,M3.5.0,M10.5.0/3")
        );
        assert_eq!(footer(&file(b"")), Some(""));
        let [old, cut] = [b"TZif\0\nUTC0\n", &b"TZif2\nUTC0"[..]].map(footer);
        assert_eq!((old, cut, footer(b""), footer(b"\n")), (None, None, None, None));
    }

    #[test]
    fn rules_are_those_of_posix_and_its_extension_in_rfc_9636() {
        for good in ["UTC0", "<+0330>-3:30", "EET-2EEST,M3.4.4/50,M10.4.4/50", "AAA1BBB,J60,300/1"]
        {
            assert_eq!(rule(good).as_ref().map(PosixRule::as_str), Some(good));
        }
        for bad in ["", "UTC", "CET-1CEST,M3.5.0", "CET-25", "CET-1CEST,M13.5.0,M10.5.0", "CET-1 "]
        {
            assert_eq!(rule(bad), None, "{bad}");
        }
    }
}
