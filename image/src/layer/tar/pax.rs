//! PAX extended headers: POSIX pax(1), "pax Extended Header", with GNU tar's sparse records and the
//! extended attributes as star's author defined them.

use super::number;
use super::sparse::Pairs;
use crate::layer::Fault;
use crate::layer::fault::Fault::Pax;
use crate::tree::Xattr;

const XATTR: &[u8] = b"SCHILY.xattr.";
const SPARSE: &[u8] = b"GNU.sparse.";

/// `XATTR_NAME_MAX` of linux/limits.h.
const XATTR_NAME_MAX: usize = 255;

/// `XATTR_SIZE_MAX` of linux/limits.h.
const XATTR_VALUE_MAX: usize = 65_536;

/// What the records of one extended header say about the next entry. Records of other programs say
/// nothing.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<(i64, u32)>,
    pub(super) major: Option<u64>,
    pub(super) minor: Option<u64>,
    pub(super) xattrs: Vec<Xattr>,
    pub(super) sparse: Sparse,
}

/// The `GNU.sparse.` records, of whichever of the three formats.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Sparse {
    pub(super) major: Option<u64>,
    pub(super) minor: Option<u64>,
    pub(super) name: Option<Vec<u8>>,
    /// `size` in the formats 0.0 and 0.1, `realsize` in 1.0.
    pub(super) size: Option<u64>,
    pub(super) count: Option<u64>,
    pub(super) pairs: Pairs,
}

impl Records {
    /// The records of an `x` header. Of one key the last record counts.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let mut records = Self::default();
        for record in iter(bytes) {
            let (key, value) = record?;
            records.take(key, value)?;
        }
        Ok(records)
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        match key {
            b"path" => self.path = text(value)?,
            b"linkpath" => self.link = text(value)?,
            b"size" => self.size = decimal(value)?,
            b"uid" => self.uid = decimal(value)?,
            b"gid" => self.gid = decimal(value)?,
            b"mtime" => self.mtime = time(value)?,
            b"SCHILY.devmajor" => self.major = decimal(value)?,
            b"SCHILY.devminor" => self.minor = decimal(value)?,
            b"SCHILY.realsize" => return Err(Pax("sparse files as star writes them")),
            _ if key.starts_with(XATTR) => self.xattrs.push(xattr(&key[XATTR.len()..], value)?),
            _ if key.starts_with(SPARSE) => self.sparse.take(&key[SPARSE.len()..], value)?,
            _ => {}
        }
        Ok(())
    }
}

impl Sparse {
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        match key {
            b"major" => self.major = decimal(value)?,
            b"minor" => self.minor = decimal(value)?,
            b"name" => self.name = text(value)?,
            b"size" | b"realsize" => self.size = decimal(value)?,
            b"numblocks" => self.count = decimal(value)?,
            b"map" => self.pairs = Pairs::listed(value)?,
            b"offset" | b"numbytes" => {
                self.pairs.push(decimal(value)?.ok_or(Pax("an empty number"))?)?;
            }
            _ => return Err(Pax("an unknown GNU.sparse record")),
        }
        Ok(())
    }
}

/// The first record of a `g` header that would change what later entries are; a comment, such as
/// git writes, does not.
pub(super) fn changing_key(bytes: &[u8]) -> Result<Option<&[u8]>, Fault> {
    for record in iter(bytes) {
        let (key, value) = record?;
        let mut alone = Records::default();
        alone.take(key, value)?;
        if alone != Records::default() {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

/// `LENGTH KEY=VALUE\n`, where the length counts all of it.
fn iter(mut bytes: &[u8]) -> impl Iterator<Item = Result<(&[u8], &[u8]), Fault>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let record = split_record(bytes);
        bytes = record.as_ref().map_or(b"", |(_, _, rest)| rest);
        Some(record.map(|(key, value, _)| (key, value)))
    })
}

type Record<'a> = (&'a [u8], &'a [u8], &'a [u8]);

fn split_record(bytes: &[u8]) -> Result<Record<'_>, Fault> {
    // Twenty digits and the space are more than any length in range needs.
    let head = &bytes[..bytes.len().min(21)];
    let space = position(head, b' ').ok_or(Pax("a record without a length"))?;
    let length =
        number::decimal(&bytes[..space]).ok_or(Pax("a record's length is not a number"))?;
    if length > bytes.len() as u64 || length < space as u64 + 2 {
        return Err(Pax("a record's length is wrong"));
    }
    let (record, rest) = bytes.split_at(length as usize);
    let body = record[space + 1..].strip_suffix(b"\n").ok_or(Pax("a record without its end"))?;
    let equals = position(body, b'=').ok_or(Pax("a record without '='"))?;
    match &body[..equals] {
        b"" => Err(Pax("a record without a key")),
        key if key.contains(&0) => Err(Pax("a key with NUL")),
        key => Ok((key, &body[equals + 1..], rest)),
    }
}

fn position(bytes: &[u8], wanted: u8) -> Option<usize> {
    bytes.iter().position(|byte| *byte == wanted)
}

/// An empty value takes back what an earlier record said.
fn text(value: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
    if value.contains(&0) {
        return Err(Fault::Name("has a NUL in it"));
    }
    Ok((!value.is_empty()).then(|| value.to_vec()))
}

fn decimal(value: &[u8]) -> Result<Option<u64>, Fault> {
    unless_empty(value, number::decimal)
}

fn time(value: &[u8]) -> Result<Option<(i64, u32)>, Fault> {
    unless_empty(value, number::time)
}

fn unless_empty<T>(value: &[u8], parse: fn(&[u8]) -> Option<T>) -> Result<Option<T>, Fault> {
    match value {
        b"" => Ok(None),
        _ => parse(value).map(Some).ok_or(Pax("a value that is not a number")),
    }
}

fn xattr(name: &[u8], value: &[u8]) -> Result<Xattr, Fault> {
    if name.is_empty() || name.len() > XATTR_NAME_MAX {
        return Err(Fault::Xattr("a name that is not 1 to 255 bytes"));
    }
    if value.len() > XATTR_VALUE_MAX {
        return Err(Fault::Xattr("a value of more than 65536 bytes"));
    }
    Ok(Xattr { name: name.into(), value: value.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str, value: &[u8]) -> Vec<u8> {
        let body = [b" ", key.as_bytes(), b"=", value, b"\n"].concat();
        let digits = |length: usize| length.to_string().len();
        let length = (1..).map(|d| body.len() + d).find(|l| body.len() + digits(*l) == *l).unwrap();
        [length.to_string().as_bytes(), &body].concat()
    }

    fn parse(records: &[(&str, &[u8])]) -> Result<Records, Fault> {
        let bytes: Vec<u8> = records.iter().flat_map(|(key, value)| record(key, value)).collect();
        Records::parse(&bytes)
    }

    #[test]
    fn attributes_are_binary_safe() {
        let value = b"\0\n5 a=b\n\xff=";
        let records = parse(&[("SCHILY.xattr.security.capability", value)]).unwrap();
        assert_eq!(&*records.xattrs[0].name, b"security.capability");
        assert_eq!(&*records.xattrs[0].value, value);
        assert_eq!(&*parse(&[("SCHILY.xattr.user.empty", b"")]).unwrap().xattrs[0].value, b"");
    }

    #[test]
    fn of_one_key_the_last_record_counts_and_an_empty_one_takes_back() {
        let records = parse(&[("size", b"1"), ("path", b"a"), ("size", b"2"), ("path", b"")]);
        let records = records.unwrap();
        assert_eq!((records.size, records.path), (Some(2), None));
    }

    #[test]
    fn records_of_other_programs_say_nothing() {
        let others: &[(&str, &[u8])] = &[("LIBARCHIVE.xattr.user.a", b"YQ"), ("atime", b"what?")];
        assert_eq!(parse(others).unwrap(), Records::default());
    }

    #[test]
    fn records_that_are_not_records() {
        let wrong: &[&[u8]] = &[
            b"8 a=b\n",
            b"5 a=b\n",
            b"7 a=b\n",
            b"0 a=b\n",
            b" a=b\n",
            b"06a=b\n",
            b"+6 a=b\n",
            b"6 a:b\n",
            b"5 =b\n",
            b"6 a=b\0",
            b"7 \0=b\n\n",
            b"99999999999999999999999 a=b\n",
            b"18446744073709551615 a=b\n",
            b"2 \n",
            b"6 a=b\nx",
        ];
        for bytes in wrong {
            assert!(Records::parse(bytes).is_err(), "{}", bytes.escape_ascii());
        }
        assert!(Records::parse(b"6 a=b\n").is_ok());
    }

    #[test]
    fn values_that_are_not_values() {
        let wrong: &[(&str, &[u8])] = &[
            ("size", b"-1"),
            ("size", b"1 "),
            ("uid", b"root"),
            ("mtime", b"now"),
            ("path", b"etc\0/passwd"),
            ("SCHILY.xattr.", b"x"),
            ("SCHILY.realsize", b"1"),
            ("GNU.sparse.colour", b"1"),
        ];
        for (key, value) in wrong {
            assert!(parse(&[(*key, *value)]).is_err(), "{key}={}", value.escape_ascii());
        }
        let long = vec![b'x'; XATTR_VALUE_MAX + 1];
        assert!(parse(&[("SCHILY.xattr.user.a", long.as_slice())]).is_err());
        assert!(parse(&[("SCHILY.xattr.user.a", &long[1..])]).is_ok());
    }

    #[test]
    fn a_global_header_may_comment_but_not_change() {
        let comment = record("comment", b"0123abcd");
        assert_eq!(changing_key(&comment).unwrap(), None);
        let size = [comment, record("size", b"5")].concat();
        assert_eq!(changing_key(&size).unwrap(), Some(&b"size"[..]));
    }
}
