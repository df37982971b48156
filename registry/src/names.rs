use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use serde::{Deserialize, Serialize};

/// Where the names of hosts are looked up: what `/etc/hosts` and `/etc/resolv.conf` say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// Name servers, in the order in which they are asked; three at most.
    pub servers: Vec<SocketAddr>,
    /// What is tried behind a name that has no dot; six at most.
    pub search: Vec<String>,
    /// Names that are known without a server, in lower case.
    pub hosts: Vec<(String, IpAddr)>,
}

/// resolv.conf(5): MAXNS.
const MAX_SERVERS: usize = 3;
/// resolv.conf(5) had six before glibc 2.26; each may cost a query.
const MAX_SEARCH: usize = 6;
/// Lists of advertisers, which some keep here, are not for machines.
const MAX_HOSTS: usize = 1024;
/// More is not read.
const MAX_FILE: usize = 256 << 10;
/// RFC 1035, 2.3.4.
const MAX_NAME: usize = 253;
const DNS_PORT: u16 = 53;

impl Names {
    /// Reads what is in the two files, as their manual pages say. As in libc, a line that is not
    /// understood is passed over, and what is over a limit too.
    pub fn from_files(resolv_conf: &[u8], hosts: &[u8]) -> Self {
        let mut names = Self::default();
        lines(resolv_conf).for_each(|words| names.add_resolver(&words));
        lines(hosts).for_each(|words| names.add_host(&words));
        names
    }

    /// Whether nothing is over its limit.
    pub(crate) fn is_bounded(&self) -> bool {
        let named = self.hosts.iter().map(|(name, _)| name).chain(&self.search);
        self.servers.len() <= MAX_SERVERS
            && self.search.len() <= MAX_SEARCH
            && self.hosts.len() <= MAX_HOSTS
            && named.into_iter().all(|name| name.len() <= MAX_NAME)
    }

    /// The addresses that `/etc/hosts` gives `name`, which is in lower case. `localhost` needs no file
    /// (RFC 6761, 6.3).
    pub(crate) fn known(&self, name: &str) -> Vec<IpAddr> {
        let found: Vec<_> = self
            .hosts
            .iter()
            .filter(|(host, _)| host == name)
            .map(|(_, address)| *address)
            .collect();
        if found.is_empty() && (name == "localhost" || name.ends_with(".localhost")) {
            return vec![IpAddr::from([127, 0, 0, 1])];
        }
        found
    }

    /// The names under which servers are asked for `name`, in order.
    pub(crate) fn candidates(&self, name: &str) -> Vec<String> {
        let search = self.search.iter().filter(|_| !name.contains('.'));
        search.map(|domain| format!("{name}.{domain}")).chain([name.to_owned()]).collect()
    }

    fn add_resolver(&mut self, words: &[&str]) {
        match words {
            ["nameserver", address, ..] if self.servers.len() < MAX_SERVERS => {
                self.servers.extend(server(address));
            }
            // The last such line counts.
            ["search", domains @ ..] | ["domain", domains @ ..] => {
                let domains = domains.iter().map(|domain| domain.trim_end_matches('.'));
                self.search = domains
                    .filter(|d| is_name(d))
                    .map(str::to_ascii_lowercase)
                    .take(MAX_SEARCH)
                    .collect();
            }
            _ => {}
        }
    }

    fn add_host(&mut self, words: &[&str]) {
        let Some((address, names)) = words.split_first() else { return };
        let Ok(address) = address.parse::<IpAddr>() else { return };
        let room = MAX_HOSTS - self.hosts.len();
        let names = names.iter().filter(|name| is_name(name)).take(room);
        self.hosts.extend(names.map(|name| (name.to_ascii_lowercase(), address)));
    }
}

fn lines(file: &[u8]) -> impl Iterator<Item = Vec<&str>> {
    let file = file.get(..MAX_FILE).unwrap_or(file);
    let lines = file.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    lines.map(|line| line.split(['#', ';']).next().unwrap_or_default().split_whitespace().collect())
}

/// Link-local servers need a zone; one that is a number can be used without asking the kernel.
fn server(text: &str) -> Option<SocketAddr> {
    let zoned = || format!("[{text}]:{DNS_PORT}").parse::<SocketAddrV6>().ok().map(SocketAddr::V6);
    text.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, DNS_PORT)).or_else(zoned)
}

fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_read() {
        let names = Names::from_files(
            b"# comment\nnameserver 192.0.2.1 # first\nnameserver 2001:db8::1\nnameserver what\n\
              domain old.example\nsearch A.example. b.example\noptions ndots:2\nnameserver fe80::1%3\n\
              nameserver 192.0.2.9\n",
            b"127.0.0.1 localhost\n::1\tlocalhost ip6-localhost\n192.0.2.7 Registry registry.example # x\n\
              bad line\n\xff\xff\n",
        );
        let servers = ["192.0.2.1:53", "[2001:db8::1]:53", "[fe80::1%3]:53"];
        assert_eq!(names.servers, servers.map(|text| text.parse::<SocketAddr>().unwrap()));
        assert_eq!(names.search, ["a.example", "b.example"]);
        assert_eq!(names.known("registry"), ["192.0.2.7".parse::<IpAddr>().unwrap()]);
        assert_eq!(names.known("localhost").len(), 2);
        assert_eq!(names.known("example.com"), Vec::<IpAddr>::new());
        assert!(names.is_bounded());
    }

    #[test]
    fn search_domains_are_for_names_without_a_dot() {
        let names = Names { search: vec!["a.example".to_owned()], ..Names::default() };
        assert_eq!(names.candidates("registry"), ["registry.a.example", "registry"]);
        assert_eq!(names.candidates("example.com"), ["example.com"]);
    }

    #[test]
    fn localhost_needs_no_file() {
        let names = Names::default();
        assert_eq!(names.known("localhost"), [IpAddr::from([127, 0, 0, 1])]);
        assert_eq!(names.known("a.localhost"), [IpAddr::from([127, 0, 0, 1])]);
    }

    #[test]
    fn oversized_files_are_cut() {
        let line = "192.0.2.1 a b c d e f g h\n".repeat(50_000);
        let names =
            Names::from_files("nameserver 192.0.2.1\n".repeat(9).as_bytes(), line.as_bytes());
        assert_eq!((names.servers.len(), names.hosts.len()), (3, MAX_HOSTS));
        assert!(names.is_bounded());
    }
}
