//! Which devices a module is for.
//!
//! Source: `scripts/mod/file2alias.c` writes the patterns, depmod and modprobe match them with
//! fnmatch(3) without flags: `*`, `?` and `[...]`.

/// Whether a device's modalias fits a module's alias pattern.
pub fn matches(pattern: &str, modalias: &str) -> bool {
    glob(pattern.as_bytes(), modalias.as_bytes())
}

/// The bus of an alias: what stands before its first colon.
pub fn bus(alias: &str) -> &str {
    alias.split_once(':').map_or(alias, |(bus, _)| bus)
}

/// On a mismatch the last `*` takes one byte more; earlier ones need no second look, so that the
/// work is at most pattern length times text length.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut rest, mut left) = (pattern, text);
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        if let Some(after) = rest.strip_prefix(b"*") {
            star = Some((after, left));
            rest = after;
        } else if let Some((after_one, left_one)) = step(rest, left) {
            (rest, left) = (after_one, left_one);
        } else if rest.is_empty() && left.is_empty() {
            return true;
        } else if let Some((after, [_, longer @ ..])) = star {
            star = Some((after, longer));
            (rest, left) = (after, longer);
        } else {
            return false;
        }
    }
}

/// What is left of both when the pattern's first element fits the text's first byte.
fn step<'a, 'b>(pattern: &'a [u8], text: &'b [u8]) -> Option<(&'a [u8], &'b [u8])> {
    let (&byte, left) = text.split_first()?;
    let (&element, rest) = pattern.split_first()?;
    match element {
        b'?' => Some((rest, left)),
        b'[' => class(rest, byte).map(|rest| (rest, left)),
        b'\\' => rest.split_first().filter(|(quoted, _)| **quoted == byte).map(|(_, r)| (r, left)),
        literal => (literal == byte).then_some((rest, left)),
    }
}

/// What follows a `[...]` whose inside `inner` begins with, if it admits `byte`.
fn class(inner: &[u8], byte: u8) -> Option<&[u8]> {
    let end = inner.iter().skip(1).position(|&b| b == b']')? + 1;
    let (members, rest) = (inner.get(..end)?, inner.get(end + 1..)?);
    let (members, wanted) = match members {
        [b'!' | b'^', members @ ..] => (members, false),
        members => (members, true),
    };
    (admits(members, byte) == wanted).then_some(rest)
}

fn admits(members: &[u8], byte: u8) -> bool {
    match members {
        [low, b'-', high, rest @ ..] => (*low..=*high).contains(&byte) || admits(rest, byte),
        [one, rest @ ..] => *one == byte || admits(rest, byte),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_of_real_modules_fit_their_devices() {
        let fits = [
            ("virtio:d00000002v*", "virtio:d00000002v00001AF4"),
            (
                "pci:v00008086d000025ABsv*sd*bc*sc*i*",
                "pci:v00008086d000025ABsv00001AF4sd00001100bc08sc80i00",
            ),
            ("pci:v*d*sv*sd*bc01sc08i02*", "pci:v00001B36d00000010sv00001AF4sd00001100bc01sc08i02"),
            ("acpi*:LNRO0005:*", "acpi:LNRO0005:"),
            ("of:N*T*Cvirtio,mmioC*", "of:NvirtioTvirtio_mmioCvirtio,mmioCx"),
            ("usb:v0BDApF1[0-9A-F]*d*", "usb:v0BDApF1A2d0100"),
            ("a[!b]c", "axc"),
            ("*", ""),
            ("dmi*:svnA?c:*", "dmi:bvnX:svnAbc:pn"),
        ];
        for (pattern, modalias) in fits {
            assert!(matches(pattern, modalias), "{pattern} {modalias}");
        }
    }

    #[test]
    fn others_do_not() {
        let misfits = [
            ("virtio:d00000002v*", "virtio:d00000003v00001AF4"),
            ("virtio:d00000002v", "virtio:d00000002v1"),
            ("virtio:d00000002v?", "virtio:d00000002v"),
            ("a[!b]c", "abc"),
            ("a[0-9]", "ax"),
            ("a[", "a["),
            ("a[b", "ab"),
            ("", "a"),
            ("a*b*c", "a-b-d"),
        ];
        for (pattern, modalias) in misfits {
            assert!(!matches(pattern, modalias), "{pattern} {modalias}");
        }
    }

    #[test]
    fn many_stars_end_soon() {
        let (pattern, modalias) = ("a*".repeat(64), "a".repeat(4096));
        assert!(!matches(&format!("{pattern}b"), &modalias));
    }

    #[test]
    fn bus_is_the_prefix() {
        assert_eq!(bus("pci:v*"), "pci");
        assert_eq!(bus("acpi*:X:*"), "acpi*");
        assert_eq!(bus("cpu"), "cpu");
    }
}
