use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::reference::{is_authority, is_repository};
use crate::{Credentials, Error, Limits, Names};

/// Everything that a client needs to know, so that it can run where no file can be opened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// For a registry's host, what is asked before it, in this order: hosts, each with the path below which it has
    /// the repositories, if it has them below one: `mirror.example.com/os`.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// What registries know us by.
    pub credentials: Credentials,
    /// The certificates that are trusted, PEM. Without any, no TLS server is.
    pub roots: Vec<u8>,
    /// The proxy that connections go through; DNS is then the proxy's matter.
    pub proxy: Option<Proxy>,
    /// Where names are looked up.
    pub names: Names,
    /// Hosts, with their ports where they have one, that are spoken to without TLS.
    pub plain: BTreeSet<String>,
    /// What is taken from a registry at most.
    pub limits: Limits,
    /// Where the jitter of delays begins: a number that differs from machine to machine.
    pub seed: u64,
}

/// A proxy that is asked with `CONNECT` for every connection, with and without TLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proxy {
    /// `http://[USER:PASSWORD@]HOST[:PORT]`, or `https` where the proxy itself speaks TLS.
    pub url: String,
    /// Hosts that are spoken to directly: a name stands for itself and what is below it, `*` for all.
    pub except: Vec<String>,
}

/// More registries than anyone has.
const MAX_HOSTS: usize = 64;
/// Mirrors of one registry; each costs a try.
const MAX_MIRRORS: usize = 8;
/// Debian's bundle is 220 KiB.
const MAX_ROOTS: usize = 1 << 20;
/// Exceptions from the proxy.
const MAX_EXCEPTIONS: usize = 256;

impl Settings {
    /// Whether each part is of its kind and no part is oversized.
    ///
    /// # Errors
    /// [`Error::Settings`] names the first part that is not.
    pub fn check(&self) -> Result<(), Error> {
        let few = self.mirrors.values().all(|mirrors| mirrors.len() <= MAX_MIRRORS);
        check(few && self.mirrors.len() <= MAX_HOSTS, "mirrors", "too many")?;
        check(self.plain.len() <= MAX_HOSTS, "hosts without TLS", "too many")?;
        for host in self.mirrors.keys().chain(&self.plain) {
            check(is_authority(host), "host", host)?;
        }
        for mirror in self.mirrors.values().flatten() {
            check(is_mirror(mirror), "mirror", mirror)?;
        }
        check(self.roots.len() <= MAX_ROOTS, "trusted certificates", "too many")?;
        check(self.names.is_bounded(), "name servers and hosts", "too many")?;
        check(self.limits.tries > 0, "limit of tries", "there is none")?;
        check(self.limits.chunk > 0, "size of an upload's chunk", "it is 0")?;
        let exceptions = self.proxy.iter().flat_map(|proxy| &proxy.except);
        check(exceptions.clone().count() <= MAX_EXCEPTIONS, "proxy's exceptions", "too many")?;
        for exception in exceptions {
            check(is_exception(exception), "exception from the proxy", exception)?;
        }
        Ok(())
    }

    /// Where something of `host` is looked for before it is at `host` itself, in order: hosts, and the paths
    /// before the repository there, if there is one.
    pub(crate) fn mirrors_of(&self, host: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.mirrors.get(host).into_iter().flatten().map(|mirror| split_mirror(mirror))
    }

    pub(crate) fn proxy(&self) -> Result<Option<ureq::Proxy>, Error> {
        self.proxy.as_ref().map(Proxy::build).transpose()
    }
}

impl Proxy {
    fn build(&self) -> Result<ureq::Proxy, Error> {
        let bad = |cause: &str| Error::Settings { what: "proxy", cause: cause.to_owned() };
        let proxy = ureq::Proxy::new(&self.url).map_err(|cause| bad(&cause.to_string()))?;
        let mut builder =
            ureq::Proxy::builder(proxy.protocol()).host(proxy.host()).port(proxy.port());
        if let Some(user) = proxy.username() {
            builder = builder.username(user);
        }
        if let Some(password) = proxy.password() {
            builder = builder.password(password);
        }
        for exception in &self.except {
            let name = exception.trim_start_matches('.');
            builder = builder.no_proxy(name).no_proxy(&format!(".{name}"));
        }
        let built = builder.build().map_err(|cause| bad(&cause.to_string()))?;
        let http =
            matches!(built.protocol(), ureq::ProxyProtocol::Http | ureq::ProxyProtocol::Https);
        if http { Ok(built) } else { Err(bad("expected http://HOST:PORT or https://HOST:PORT")) }
    }
}

fn is_mirror(text: &str) -> bool {
    let (host, prefix) = split_mirror(text);
    is_authority(host) && prefix.is_none_or(is_repository)
}

fn split_mirror(text: &str) -> (&str, Option<&str>) {
    text.split_once('/').map_or((text, None), |(host, prefix)| (host, Some(prefix)))
}

/// A network in CIDR form would silently match nothing.
fn is_exception(text: &str) -> bool {
    text == "*" || is_authority(text.trim_start_matches('.')) && !text.contains(['/', '['])
}

fn check(holds: bool, what: &'static str, cause: &str) -> Result<(), Error> {
    let cause = cause.chars().take(128).collect();
    if holds { Ok(()) } else { Err(Error::Settings { what, cause }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(url: &str, except: &[&str]) -> Settings {
        let except = except.iter().map(|text| (*text).to_owned()).collect();
        Settings { proxy: Some(Proxy { url: url.to_owned(), except }), ..Settings::default() }
    }

    #[test]
    fn settings_survive_both_forms() {
        let settings = Settings {
            mirrors: [("example.com".to_owned(), vec!["localhost:5000".to_owned()])].into(),
            plain: ["localhost:5000".to_owned()].into(),
            roots: b"pem".to_vec(),
            ..proxy("http://localhost:3128", &[".example.org"])
        };
        settings.check().unwrap();
        let bytes = postcard::to_allocvec(&settings).unwrap();
        assert_eq!(postcard::from_bytes(&bytes), Ok(settings.clone()));
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&text).unwrap(), settings);
    }

    #[test]
    fn mirrors_have_an_order_and_some_a_path() {
        let settings = mirrored(&["b.example/os/all", "a.example"]);
        settings.check().unwrap();
        let mirrors: Vec<_> = settings.mirrors_of("example.com").collect();
        assert_eq!(mirrors, [("b.example", Some("os/all")), ("a.example", None)]);
        assert_eq!(settings.mirrors_of("example.org").count(), 0);
    }

    fn mirrored(mirrors: &[&str]) -> Settings {
        let mirrors = mirrors.iter().map(|mirror| (*mirror).to_owned()).collect();
        Settings { mirrors: [("example.com".to_owned(), mirrors)].into(), ..Settings::default() }
    }

    #[test]
    fn settings_that_mean_nothing_are_refused() {
        let hosts: BTreeSet<_> = (0..100).map(|n| format!("h{n}.example")).collect();
        for bad in [
            Settings { plain: ["https://a.example".to_owned()].into(), ..Settings::default() },
            Settings { plain: hosts, ..Settings::default() },
            Settings { roots: vec![b'a'; 2 << 20], ..Settings::default() },
            Settings { limits: Limits { tries: 0, ..Limits::default() }, ..Settings::default() },
            proxy("http://localhost", &["10.0.0.0/8"]),
            mirrored(&["a.example/"]),
            mirrored(&["a.example/../os"]),
            mirrored(&["https://a.example"]),
            mirrored(&["a.example"; 9]),
        ] {
            assert!(bad.check().is_err());
        }
        for bad in ["socks5://localhost", "ftp://localhost", "", "http://"] {
            assert!(proxy(bad, &[]).proxy().is_err(), "{bad}");
        }
    }

    #[test]
    fn exceptions_from_the_proxy_stand_for_what_is_below_them() {
        let proxy =
            proxy("http://u:p@localhost:3128", &["example.com", ".example.org", "192.0.2.1"]);
        let proxy = proxy.proxy().unwrap().unwrap();
        let direct = |host: &str| proxy.is_no_proxy(&format!("https://{host}/").parse().unwrap());
        assert_eq!((proxy.username(), proxy.password()), (Some("u"), Some("p")));
        for host in ["example.com", "a.example.com", "example.org", "a.example.org", "192.0.2.1"] {
            assert!(direct(host), "{host}");
        }
        for host in ["badexample.com", "com", "192.0.2.10"] {
            assert!(!direct(host), "{host}");
        }
    }
}
