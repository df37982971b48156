//! How registries are named.

use std::net::Ipv6Addr;

use crate::name::is_label;

text! {
    /// A tag in a registry, by the grammar of the OCI distribution specification, with the host
    /// written out: without one, `kiosk/os` would be a repository to some tools and a host to others.
    pub struct Tag: "a registry's host, a repository and a tag, such as \"registry.example.com/os/kiosk:stable\"",
    |text| is_tagged(text);
}

text! {
    /// A registry that has a copy, and the path below which it has it.
    pub struct Mirror: "a registry's host with or without a path, such as \"mirror.example.com/os\"",
    |text| is_mirror(text);
}

text! {
    /// An HTTP proxy. A user and a password are no part of it: everybody could read them in the image.
    pub struct Proxy: "a proxy's address without a path, such as \"http://proxy.example.com:3128\"",
    |text| text.strip_prefix("http://").is_some_and(is_host);
}

impl Tag {
    /// The host and its port.
    pub fn host(&self) -> &str {
        self.as_str().split_once('/').map_or("", |(host, _)| host)
    }
}

/// The longest repository of the distribution specification.
const REPOSITORY_MAX: usize = 255;
/// The longest tag of it.
const TAG_MAX: usize = 128;
/// The longest name that DNS can resolve (RFC 1035), and a port.
const HOST_MAX: usize = 253 + 6;

fn is_tagged(text: &str) -> bool {
    text.split_once('/').and_then(|(host, rest)| Some((host, rest.rsplit_once(':')?))).is_some_and(
        |(host, (repository, tag))| is_registry(host) && is_repository(repository) && is_tag(tag),
    )
}

fn is_mirror(text: &str) -> bool {
    match text.split_once('/') {
        Some((host, prefix)) => is_registry(host) && is_repository(prefix),
        None => is_registry(text),
    }
}

/// A host that is none of docker's user names.
fn is_registry(text: &str) -> bool {
    let is_told_apart = text.contains(['.', ':']) || text == "localhost";
    is_told_apart && is_host(text)
}

fn is_host(text: &str) -> bool {
    if text.len() > HOST_MAX {
        return false;
    }
    if let Some((address, port)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address.parse::<Ipv6Addr>().is_ok() && is_port_or_nothing(port);
    }
    let name = text.find(':').map_or(text.len(), |colon| colon);
    let (name, port) = text.split_at(name);
    name.split('.').all(is_label) && is_port_or_nothing(port)
}

fn is_port_or_nothing(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(is_port)
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok_and(|port| port != 0 && port.to_string() == text)
}

fn is_repository(text: &str) -> bool {
    text.len() <= REPOSITORY_MAX && text.split('/').all(is_component)
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let is_separator =
        |part: &str| matches!(part, "." | "_" | "__") || part.bytes().all(|b| b == b'-');
    let ends = [text.bytes().next(), text.bytes().last()];
    ends.iter().all(|end| end.is_some_and(is_word))
        && text.split(|c: char| c.is_ascii() && is_word(c as u8)).all(is_separator)
}

fn is_tag(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=TAG_MAX).contains(&text.len())
        && text.bytes().next().is_some_and(is_word)
        && text.bytes().all(|b| is_word(b) || matches!(b, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;

    #[test]
    fn tags_have_a_host_a_repository_and_a_tag() {
        for good in [
            "registry.example.com/os/kiosk:stable",
            "localhost/a:1",
            "localhost:5000/a/b/c__d-e.f_g---h:V1.2-3_4",
            "[2001:db8::1]:5000/a:b",
            "192.0.2.1:5000/a:b",
        ] {
            assert_eq!(Tag::from_text(good).map(|tag| tag.to_string()).as_deref(), Some(good));
        }
        let host = |text| Tag::from_text(text).map(|tag| tag.host().to_owned());
        assert_eq!(host("localhost:5000/a:1").as_deref(), Some("localhost:5000"));
    }

    #[test]
    fn everything_else_is_no_tag() {
        for bad in [
            "",
            "kiosk",
            "kiosk:stable",
            "os/kiosk:stable",
            "example.com:stable",
            "example.com/:stable",
            "example.com/kiosk",
            "example.com/kiosk:",
            "example.com/kiosk:.a",
            "example.com/Kiosk:a",
            "example.com/a//b:a",
            "example.com/../b:a",
            "example.com/a..b:a",
            "example.com/a___b:a",
            "example.com/-a:a",
            "example.com/a@sha256:00",
            "https://example.com/a:b",
            "user@example.com/a:b",
            "example.com:0/a:b",
            "example.com:080/a:b",
            "example.com:65536/a:b",
            "[::1/a:b",
            "[1::2::3]:5000/a:b",
            "exam ple.com/a:b",
            "example.com/a:b\n",
            "ä.example.com/a:b",
        ] {
            assert_eq!(Tag::from_text(bad), None, "{bad:?}");
        }
        assert_eq!(Tag::from_text(&format!("example.com/a:{}", "b".repeat(129))), None);
        assert_eq!(Tag::from_text(&format!("example.com/{}:b", "a".repeat(256))), None);
    }

    #[test]
    fn mirrors_have_a_path_or_none() {
        for good in ["mirror.example.com", "mirror.example.com:5000/os/a", "localhost"] {
            assert!(Mirror::from_text(good).is_some(), "{good:?}");
        }
        for bad in ["", "mirror", "mirror/os", "mirror.example.com/", "http://mirror.example.com"] {
            assert!(Mirror::from_text(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn proxies_have_a_scheme_and_no_password() {
        for good in ["http://proxy:3128", "http://proxy.example.com", "http://[::1]:1"] {
            assert!(Proxy::from_text(good).is_some(), "{good:?}");
        }
        for bad in ["proxy:3128", "socks://proxy", "http://", "http://a:b@proxy", "http://proxy/a"]
        {
            assert!(Proxy::from_text(bad).is_none(), "{bad:?}");
        }
    }
}
