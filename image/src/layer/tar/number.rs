//! The numbers of tar: octal or base-256 in headers, decimal in PAX records.

use crate::layer::Fault;

/// A header's number field: octal digits between spaces and NULs (nothing at all is zero), or, with
/// the top bit set, a big-endian two's complement number in the other bits.
pub(super) fn field(bytes: &[u8], name: &'static str) -> Result<i128, Fault> {
    match bytes {
        [first, ..] if first & 0x80 != 0 => Ok(base_256(bytes)),
        _ => octal(bytes).ok_or(Fault::Number(name)),
    }
}

/// A field that must be within what `T` holds.
pub(super) fn within<T: TryFrom<i128>>(bytes: &[u8], name: &'static str) -> Result<T, Fault> {
    T::try_from(field(bytes, name)?).map_err(|_| Fault::Range(name))
}

/// Only digits, at least one, at most 20, within 64 bits.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 20 {
        return None;
    }
    text.iter().try_fold(0u64, |number, digit| push(number, 10, *digit))
}

/// Seconds with an optional sign and fraction, as whole seconds rounded down and the nanoseconds
/// after them. What a fraction has past nine digits is left out.
pub(super) fn time(text: &[u8]) -> Option<(i64, u32)> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let dot = text.iter().position(|&byte| byte == b'.').unwrap_or(text.len());
    let seconds = i64::try_from(decimal(&text[..dot])?).ok()?;
    let nanos = nanoseconds(text.get(dot + 1..).unwrap_or_default())?;
    match (negative, nanos) {
        (false, _) => Some((seconds, nanos)),
        (true, 0) => Some((-seconds, 0)),
        (true, _) => Some((-seconds - 1, 1_000_000_000 - nanos)),
    }
}

fn nanoseconds(fraction: &[u8]) -> Option<u32> {
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(9);
    Some(digits.fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0')))
}

fn octal(bytes: &[u8]) -> Option<i128> {
    let padding = |byte: &u8| matches!(byte, b' ' | 0);
    let start = bytes.iter().position(|byte| !padding(byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !padding(byte)).map_or(start, |last| last + 1);
    let number = bytes[start..end].iter().try_fold(0, |number, digit| push(number, 8, *digit))?;
    Some(i128::from(number))
}

fn push(number: u64, base: u64, digit: u8) -> Option<u64> {
    let digit = u64::from(digit.checked_sub(b'0')?);
    if digit >= base {
        return None;
    }
    number.checked_mul(base)?.checked_add(digit)
}

/// At most 12 bytes, so that it fits.
fn base_256(bytes: &[u8]) -> i128 {
    let first = i128::from(bytes[0] & 0x7f);
    let signed = if bytes[0] & 0x40 != 0 { first - 0x80 } else { first };
    bytes[1..].iter().fold(signed, |number, byte| number << 8 | i128::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_fields() {
        let number = |text: &[u8]| field(text, "size").ok();
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"   644 \0"), Some(0o644));
        assert_eq!(number(b"\0\0\0\0\0\0\0\0"), Some(0));
        assert_eq!(number(b"777777777777"), Some(0o777777777777));
        for wrong in
            [&b"0000648\0"[..], b"+000644\0", b"-000644\0", b"06\x0044\0\0", b"06 44\0\0\0"]
        {
            assert_eq!(number(wrong), None, "{}", wrong.escape_ascii());
        }
    }

    #[test]
    fn base_256_fields() {
        let number = |text: &[u8]| field(text, "size").unwrap();
        assert_eq!(number(b"\x80\0\0\0\0\x20\0\0"), 1 << 21);
        assert_eq!(number(&[0xff; 12]), -1);
        assert_eq!(number(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0"), -256);
        let largest = number(b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
        assert_eq!(largest, (1 << 94) - 1);
        assert!(within::<u64>(&[0xff; 12], "size").is_err());
        assert!(within::<u64>(b"\x80\0\0\x01\0\0\0\0\0\0\0\0", "size").is_err());
        assert_eq!(within::<i64>(&[0xff; 12], "mtime").ok(), Some(-1));
    }

    #[test]
    fn decimals() {
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        for wrong in [&b""[..], b"18446744073709551616", b"-1", b"+1", b" 1", b"1 ", b"0x1"] {
            assert_eq!(decimal(wrong), None, "{}", wrong.escape_ascii());
        }
    }

    #[test]
    fn times_round_down() {
        assert_eq!(time(b"1350244992.023960108"), Some((1350244992, 23960108)));
        assert_eq!(time(b"1."), Some((1, 0)));
        assert_eq!(time(b"-1"), Some((-1, 0)));
        assert_eq!(time(b"-1.5"), Some((-2, 500_000_000)));
        assert_eq!(time(b"-0.000000001"), Some((-1, 999_999_999)));
        assert_eq!(time(b"0.12345678999"), Some((0, 123_456_789)));
        for wrong in [&b""[..], b".5", b"--1", b"1.5.5", b"1e3", b"9223372036854775808"] {
            assert_eq!(time(wrong), None, "{}", wrong.escape_ascii());
        }
    }
}
