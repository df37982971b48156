use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::reference::is_authority;
use crate::{Credentials, Error, Limits, Names};

/// Everything that a client needs to know, so that it can run where no file can be opened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// For a registry's host, the hosts that are asked before it, in this order.
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
        let mirrors = self.mirrors.iter().flat_map(|(host, mirrors)| mirrors.iter().chain([host]));
        let few = self.mirrors.values().all(|mirrors| mirrors.len() <= MAX_MIRRORS);
        check(few && self.mirrors.len() <= MAX_HOSTS, "mirrors", "too many")?;
        check(self.plain.len() <= MAX_HOSTS, "hosts without TLS", "too many")?;
        for host in mirrors.chain(&self.plain) {
            check(is_authority(host), "host", host)?;
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

    /// Where something of `host` is looked for, in order.
    pub(crate) fn hosts<'s>(&'s self, host: &'s str) -> impl Iterator<Item = &'s str> {
        let mirrors = self.mirrors.get(host).into_iter().flatten().map(String::as_str);
        mirrors.chain([host])
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
    fn mirrors_come_before_the_host() {
        let mirrors = vec!["b.example".to_owned(), "a.example".to_owned()];
        let settings = Settings {
            mirrors: [("example.com".to_owned(), mirrors)].into(),
            ..Settings::default()
        };
        let hosts: Vec<_> = settings.hosts("example.com").collect();
        assert_eq!(hosts, ["b.example", "a.example", "example.com"]);
        assert_eq!(settings.hosts("example.org").count(), 1);
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
