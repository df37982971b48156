use std::fmt;
use std::net::IpAddr;

use ureq::http::Uri;

use crate::reference::{is_authority, split_port};

/// Where a request goes: a URL that was read strictly, `http` or `https`, without a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) scheme: Scheme,
    /// The host, in lower case, with its port where one is written.
    authority: String,
    /// The path and the query, in visible ASCII, from its slash on.
    path: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

/// Signed URLs of object stores are one or two KiB.
const MAX_URL: usize = 8 << 10;

impl Target {
    /// `path` of a host whose name was checked.
    pub(crate) fn new(scheme: Scheme, authority: &str, path: String) -> Self {
        Self { scheme, authority: authority.to_owned(), path }
    }

    /// Reads an absolute URL from outside.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_URL || !text.chars().all(|c| c.is_ascii_graphic()) {
            return Err("a URL that is none, or too long".to_owned());
        }
        let (scheme, rest) = text.split_once("://").ok_or("not http or https")?;
        let scheme = Scheme::parse(scheme)?;
        let text = text.split('#').next().unwrap_or_default();
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).unwrap_or_default();
        let authority = authority.to_ascii_lowercase();
        if !is_authority(&authority) || text.parse::<Uri>().is_err() {
            return Err(format!("a URL that is none: {}", shown(text)));
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self { scheme, authority, path: format!("{slash}{path}") })
    }

    /// Where `location`, from an answer of this target, leads (RFC 3986, 5.2).
    pub(crate) fn follow(&self, location: &str) -> Result<Self, String> {
        let next = Self::parse(&self.absolute(location)?)?;
        if self.scheme == Scheme::Https && next.scheme == Scheme::Http {
            return Err(format!("from https to {}", shown(&next.origin())));
        }
        Ok(next)
    }

    fn absolute(&self, location: &str) -> Result<String, String> {
        let head = location.split(['/', '?', '#']).next().unwrap_or_default();
        if head.contains(':') {
            return Ok(location.to_owned());
        }
        Ok(match location.chars().next() {
            None => return Err("to nowhere".to_owned()),
            Some('/') if location.starts_with("//") => format!("{}:{location}", self.scheme),
            Some('/') => format!("{}{location}", self.origin()),
            Some('?') => format!("{}{}{location}", self.origin(), self.file()),
            Some(_) => format!("{}{}{location}", self.origin(), self.directory()),
        })
    }

    fn file(&self) -> &str {
        self.path.split('?').next().unwrap_or("/")
    }

    fn directory(&self) -> &str {
        self.file().rsplit_once('/').and_then(|(dir, _)| self.path.get(..=dir.len())).unwrap_or("/")
    }

    /// With another query parameter; `text` is percent-encoded where it must be.
    pub(crate) fn with_query(mut self, name: &str, text: &str) -> Self {
        let joint = if self.path.contains('?') { '&' } else { '?' };
        self.path.push_str(&format!("{joint}{name}={}", encode(text)));
        self
    }

    /// Scheme, host and port, with the port only where it is not the scheme's.
    pub(crate) fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }

    /// The host without its port: a name, an IPv4 address, or an IPv6 address in brackets.
    pub(crate) fn host(&self) -> &str {
        split_port(&self.authority).map_or("", |(host, _)| host)
    }

    /// The address, if the host is one.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.host().trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    /// Whether what is meant for the one may go to the other: same scheme, host and port.
    pub(crate) fn is_same_origin(&self, other: &Self) -> bool {
        let port = |target: &Self| {
            let port = split_port(&target.authority).and_then(|(_, port)| port?.parse().ok());
            port.unwrap_or(target.scheme.port())
        };
        self.scheme == other.scheme && self.host() == other.host() && port(self) == port(other)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.path)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

impl Scheme {
    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "http" => Ok(Self::Http),
            "https" => Ok(Self::Https),
            _ => Err(format!("scheme {}, not http or https", shown(text))),
        }
    }

    pub(crate) fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// RFC 3986, 2.1: what is not unreserved is encoded; ':' and '/' may stand in a query.
pub(crate) fn encode(text: &str) -> String {
    let stays = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/,".contains(&byte);
    let mut encoded = String::new();
    for byte in text.bytes() {
        match stays(byte) {
            true => encoded.push(char::from(byte)),
            false => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// The beginning of a text from outside, fit to be printed.
pub(crate) fn shown(text: &str) -> String {
    /// A line of a terminal or two.
    const MAX_SHOWN: usize = 160;
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(MAX_SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        Target::parse(text).unwrap()
    }

    #[test]
    fn urls_are_read() {
        for (text, written) in [
            ("https://example.com/a?b=c", "https://example.com/a?b=c"),
            ("HTTP://Example.COM:8080", "http://example.com:8080/"),
            ("https://[::1]:5000/x#y", "https://[::1]:5000/x"),
            ("https://example.com?x=1", "https://example.com/?x=1"),
        ] {
            assert_eq!(target(text).to_string(), written);
        }
    }

    #[test]
    fn any_other_url_is_refused() {
        let long = format!("https://example.com/{}", "a".repeat(9000));
        for text in [
            "",
            "file:///etc/passwd",
            "ftp://example.com/",
            "https:/example.com",
            "https://",
            "https:///x",
            "https://user@example.com/",
            "https://a:b@example.com/",
            "https://exa mple.com/",
            "https://example.com:99999/",
            "https://example.com:/",
            "https://127.1/",
            "https://ex%61mple.com/",
            "https://example.com/ä",
            "https://example.com/\r\nX: y",
            "https://2130706433/",
            "gopher://x/",
            &long,
        ] {
            assert!(Target::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn locations_are_followed() {
        let base = target("https://example.com:444/v2/os/blobs/uploads/?a=b");
        for (location, leads) in [
            ("https://example.org/x", "https://example.org/x"),
            ("//example.org/x", "https://example.org/x"),
            ("/x?y=z", "https://example.com:444/x?y=z"),
            ("x", "https://example.com:444/v2/os/blobs/uploads/x"),
            ("?x=y", "https://example.com:444/v2/os/blobs/uploads/?x=y"),
        ] {
            assert_eq!(base.follow(location).unwrap().to_string(), leads, "{location}");
        }
        for location in
            ["", "http://example.com/", "file:/x", "javascript:x", "data:,x", "//", "///x"]
        {
            assert!(base.follow(location).is_err(), "{location}");
        }
        assert!(target("http://example.com/").follow("https://example.com/").is_ok());
    }

    #[test]
    fn origins_are_compared_with_their_ports() {
        let base = target("https://example.com/a");
        assert!(base.is_same_origin(&target("https://example.com:443/b")));
        for other in ["http://example.com/", "https://example.com:444/", "https://a.example.com/"] {
            assert!(!base.is_same_origin(&target(other)), "{other}");
        }
    }

    #[test]
    fn queries_are_added() {
        let with = target("https://example.com/t")
            .with_query("service", "a b&c")
            .with_query("scope", "r:a/b:pull,push");
        assert_eq!(
            with.to_string(),
            "https://example.com/t?service=a%20b%26c&scope=r:a/b:pull,push"
        );
    }
}
