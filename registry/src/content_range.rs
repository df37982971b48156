use std::str::FromStr;

/// Which bytes of how many an answer holds: what `Content-Range` says (RFC 9110, 14.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentRange {
    /// The first byte.
    pub first: u64,
    /// The last byte, which is not before the first.
    pub last: u64,
    /// The size of the whole; `*` is none.
    pub size: Option<u64>,
}

impl FromStr for ContentRange {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or("not bytes FIRST-LAST/SIZE")
    }
}

fn parse(text: &str) -> Option<ContentRange> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let size = if size == "*" { None } else { Some(number(size)?) };
    let range = ContentRange { first: number(first)?, last: number(last)?, size };
    let holds = range.first <= range.last && size.is_none_or(|size| range.last < size);
    holds.then_some(range)
}

/// Digits only: `parse` takes a sign.
pub(crate) fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_read() {
        let range = |first, last, size| Ok(ContentRange { first, last, size });
        assert_eq!("bytes 0-0/1".parse(), range(0, 0, Some(1)));
        assert_eq!("bytes 5-9/*".parse(), range(5, 9, None));
        for bad in [
            "",
            "bytes */10",
            "bytes 5-4/10",
            "bytes 0-10/10",
            "bytes -5/10",
            "bytes 0-/10",
            "items 0-1/2",
            "bytes 0-1",
            "bytes +0-1/2",
            "bytes 0-18446744073709551616/*",
            "bytes 0-1/2, 3-4/5",
            "0-1/2",
        ] {
            assert!(bad.parse::<ContentRange>().is_err(), "{bad}");
        }
    }
}
