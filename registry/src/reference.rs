use std::fmt;
use std::str::FromStr;

use pintle_verify::Digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Error;

/// The name of something in a registry, `HOST[:PORT]/REPOSITORY[:TAG][@sha256:HEX]`.
///
/// Holding one tells that each part is within the bounds of the
/// [distribution specification](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests)
/// and can stand in a URL as it is. Nothing is guessed: no host, no tag.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    host: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// The longest name of a host in DNS, and room for a port.
const MAX_HOST: usize = 253 + 6;
/// The most that registries agree on.
const MAX_REPOSITORY: usize = 255;
/// Distribution specification, "Pulling manifests".
const MAX_TAG: usize = 128;

const NO_HOST: &str = "HOST/REPOSITORY[:TAG][@sha256:HEX], with a host that has a dot or a port, such as example.com/os:stable";
const HOST: &str =
    "a host of lower-case letters, digits, '-' and '.', an IPv4 address or [IPv6], perhaps :PORT";
const REPOSITORY: &str = "a repository of at most 255 characters: components of lower-case letters and digits, joined by '.', '_', '__' or '-', between slashes";
const TAG: &str =
    "a tag of at most 128 letters, digits, '_', '.' and '-', that begins with neither '.' nor '-'";
const DIGEST: &str = "a digest: sha256: and 64 lower-case hexadecimal digits";
const LENGTH: &str = "at most 720 characters";

impl Reference {
    /// The host, with its port where one is written: `example.com`, `localhost:5000`, `[::1]:5000`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The repository, without the host.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, if one is written.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if one is written. It goes before the tag.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The same repository, by `digest` alone.
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// The same repository, by `tag` alone.
    ///
    /// # Errors
    /// [`Error::Reference`] if it is not a tag.
    pub fn with_tag(&self, tag: &str) -> Result<Self, Error> {
        if !is_tag(tag) {
            return Err(Error::Reference { found: tag.to_owned(), expected: TAG });
        }
        Ok(Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() })
    }

    /// The same repository, with neither tag nor digest.
    pub fn without_name(&self) -> Self {
        Self { tag: None, digest: None, ..self.clone() }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).map_err(|expected| Error::Reference {
            found: text.chars().take(MAX_SHOWN).collect(),
            expected,
        })
    }
}

/// So much of a wrong text is shown.
const MAX_SHOWN: usize = 128;

/// Host, repository, tag and digest at their longest, with what stands between them.
const MAX_LENGTH: usize = MAX_HOST + 1 + MAX_REPOSITORY + 1 + MAX_TAG + 1 + 71;

fn parse(text: &str) -> Result<Reference, &'static str> {
    if text.len() > MAX_LENGTH {
        return Err(LENGTH);
    }
    let (name, digest) = split_digest(text)?;
    let (host, path) = name.split_once('/').ok_or(NO_HOST)?;
    // Docker's rule for what is a host and what the first component of a repository.
    if !(host.contains(['.', ':']) || host == "localhost") {
        return Err(NO_HOST);
    }
    let (repository, tag) = match path.split_once(':') {
        Some((repository, tag)) => (repository, Some(tag)),
        None => (path, None),
    };
    check(is_authority(host), HOST)?;
    check(is_repository(repository), REPOSITORY)?;
    check(tag.is_none_or(is_tag), TAG)?;
    let (host, repository, tag) =
        (host.to_owned(), repository.to_owned(), tag.map(ToOwned::to_owned));
    Ok(Reference { host, repository, tag, digest })
}

fn check(holds: bool, expected: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(expected) }
}

fn split_digest(text: &str) -> Result<(&str, Option<Digest>), &'static str> {
    match text.split_once('@') {
        Some((name, digest)) => Ok((name, Some(digest.parse().map_err(|_| DIGEST)?))),
        None => Ok((text, None)),
    }
}

/// Whether `text` is a host with perhaps a port, as it may stand in a URL and in a reference.
pub(crate) fn is_authority(text: &str) -> bool {
    let Some((host, port)) = split_port(text) else { return false };
    text.len() <= MAX_HOST && is_host(host) && port.is_none_or(is_port)
}

/// `[::1]:5000` into `[::1]` and `5000`.
pub(crate) fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    let end = text.rfind(']').map_or(0, |bracket| bracket + 1);
    let rest = text.get(end..)?;
    match rest.find(':') {
        Some(colon) => Some((text.get(..end + colon)?, Some(rest.get(colon + 1..)?))),
        None => Some((text, None)),
    }
}

fn is_host(text: &str) -> bool {
    match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        // What looks like a number is one, in full: "127.1" is 127.0.0.1 to some.
        None if text.ends_with(|c: char| c.is_ascii_digit())
            && !text.contains(char::is_alphabetic) =>
        {
            text.parse::<std::net::Ipv4Addr>().is_ok()
        }
        None => text.split('.').all(is_label),
    }
}

/// RFC 1123, 2.1.
fn is_label(text: &str) -> bool {
    let within = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&text.len())
        && text.chars().all(within)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_port(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit())
        && !text.starts_with('0')
        && text.parse::<u16>().is_ok()
}

pub(crate) fn is_repository(text: &str) -> bool {
    text.len() <= MAX_REPOSITORY && text.split('/').all(is_component)
}

fn is_component(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(alphanumeric)
        && text.ends_with(alphanumeric)
        && text.split(alphanumeric).all(is_separator)
}

/// What stands between two letters or digits.
fn is_separator(text: &str) -> bool {
    matches!(text, "" | "." | "_" | "__") || text.chars().all(|c| c == '-')
}

fn is_tag(text: &str) -> bool {
    let within = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    (1..=MAX_TAG).contains(&text.len()) && text.chars().all(within) && !text.starts_with(['.', '-'])
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn references_are_read_and_written() {
        for text in [
            "example.com/os".to_owned(),
            "example.com/a/b-c__d.e_f:1.4.0".to_owned(),
            "localhost/os:stable".to_owned(),
            "localhost:5000/os:stable".to_owned(),
            "registry:5000/os".to_owned(),
            "[::1]:5000/os:A_b".to_owned(),
            "192.0.2.1/a---b".to_owned(),
            "xn--bcher-kva.example/os:_".to_owned(),
            format!("example.com/os:stable@sha256:{HEX}"),
            format!("example.com/os@sha256:{HEX}"),
        ] {
            assert_eq!(text.parse::<Reference>().map(|r| r.to_string()), Ok(text));
        }
    }

    #[test]
    fn parts_of_a_reference() {
        let text = format!("localhost:5000/a/b:stable@sha256:{HEX}");
        let reference: Reference = text.parse().unwrap();
        assert_eq!(reference.host(), "localhost:5000");
        assert_eq!(reference.repository(), "a/b");
        assert_eq!(reference.tag(), Some("stable"));
        assert_eq!(reference.digest().map(|digest| digest.hex()), Some(HEX.to_owned()));
        let digest = Digest::of(b"");
        let other = reference.with_digest(digest);
        assert_eq!((other.tag(), other.digest()), (None, Some(digest)));
        let other = reference.with_tag("v2").unwrap();
        assert_eq!(other.to_string(), "localhost:5000/a/b:v2");
        assert!(reference.with_tag("a b").is_err());
        assert_eq!(reference.without_name().to_string(), "localhost:5000/a/b");
    }

    #[test]
    fn a_name_without_a_host_says_what_to_write() {
        for text in ["os", "os:stable", "library/os", "pintle/os:1"] {
            let error = text.parse::<Reference>().unwrap_err().to_string();
            assert!(error.contains("such as example.com/os:stable"), "{error}");
        }
    }

    #[test]
    fn any_other_form_is_refused() {
        let long = "a".repeat(300);
        for text in [
            "",
            "/",
            "example.com/",
            "example.com/OS",
            "Example.com/os",
            "example.com//os",
            "example.com/os/",
            "example.com/../os",
            "example.com/.os",
            "example.com/o..s",
            "example.com/o___s",
            "example.com/os:",
            "example.com/os:-a",
            "example.com/os:a:b",
            "example.com/os:a/b",
            "example.com/os:ä",
            "example.com/os@",
            "example.com/os@sha256:00",
            "example.com/os@sha512:00",
            &format!("example.com/os@sha256:{HEX}@sha256:{HEX}"),
            &format!("example.com/os@sha256:{}", HEX.to_uppercase()),
            "example.com:/os",
            "example.com:0/os",
            "example.com:080/os",
            "example.com:65536/os",
            "example.com:+80/os",
            "user@example.com/os",
            "user:secret@example.com/os",
            "https://example.com/os",
            "exa mple.com/os",
            "-a.example/os",
            "a-.example/os",
            "a..example/os",
            ".example/os",
            "127.1/os",
            "1.2.3.4.5/os",
            "[::1/os",
            "[::1]]/os",
            "[example.com]/os",
            "::1/os",
            "example.com/os?x=y",
            "example.com/os#x",
            "example.com/o%2fs",
            "example.com/os\n",
            &format!("example.com/{long}"),
            &format!("{long}.com/os"),
            &format!("example.com/os:{long}"),
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text:?}");
        }
    }
}
