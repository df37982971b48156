use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustls::crypto::SecureRandom;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::dns::{DATAGRAM, Kind, Question, Reply};
use crate::{Cause, Names};

/// How long a server is waited for, in the first round and in the second.
const PATIENCE: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(5)];
/// Datagrams that are not the answer, until a server is given up: somebody is guessing.
const MAX_FOREIGN: usize = 64;
/// Aliases that have to be asked for by themselves.
const MAX_ALIASES: usize = 4;
/// So long the addresses of a name are kept: for the requests of one fetch.
const KEPT: Duration = Duration::from_secs(60);
/// A registry, its mirrors, its token server and where it keeps its blobs are a dozen.
const MAX_KEPT: usize = 32;
/// What ureq takes, of both kinds together.
const MAX_ADDRESSES: usize = 16;

/// Finds the addresses of hosts without libc, which cannot do it in a static binary, and without files.
#[derive(Clone)]
pub(crate) struct Dns {
    names: Names,
    /// The proxy as it stands in a URL. Where it is does not say where a registry is.
    proxy: Option<String>,
    random: &'static dyn SecureRandom,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    kept: Vec<(String, Instant, Vec<IpAddr>)>,
    /// Whether this machine's own addresses are passed over.
    outside_only: bool,
    /// Whether the last host was on this machine or its link.
    was_inside: bool,
}

impl Dns {
    pub(crate) fn new(
        names: Names,
        proxy: Option<String>,
        random: &'static dyn SecureRandom,
    ) -> Self {
        Self { names, proxy, random, state: Arc::default() }
    }

    /// The next host is one that the settings name.
    pub(crate) fn trust(&self) {
        let mut state = self.state();
        (state.outside_only, state.was_inside) = (false, false);
    }

    /// The next hosts are named by the last one: if that was not on this machine or its link, they may
    /// not be either. What listens there trusts whoever can connect.
    pub(crate) fn distrust(&self) {
        let mut state = self.state();
        state.outside_only = state.outside_only || !state.was_inside;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, host: &str, deadline: Instant) -> Result<Vec<IpAddr>, Cause> {
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        if let Ok(address) = literal {
            return Ok(vec![address]);
        }
        let known = self.names.known(host);
        if !known.is_empty() {
            return Ok(known);
        }
        if let Some(kept) = self.state().kept(host) {
            return Ok(kept);
        }
        let found = self.search(host, deadline)?;
        self.state().keep(host, &found);
        Ok(found)
    }

    fn search(&self, host: &str, deadline: Instant) -> Result<Vec<IpAddr>, Cause> {
        if self.names.servers.is_empty() {
            return Err(Cause::Resolve(format!("{host}: no name server is known")));
        }
        let mut missing = Cause::NoSuchHost(host.to_owned());
        for name in self.names.candidates(host) {
            match self.both(&name, deadline) {
                Ok(found) => return Ok(found),
                Err(cause @ Cause::NoSuchHost(_)) => missing = cause,
                Err(cause) => return Err(cause),
            }
        }
        Err(missing)
    }

    /// IPv6 and IPv4 in turn (RFC 8305, 4), so that one kind that leads nowhere costs one try.
    fn both(&self, name: &str, deadline: Instant) -> Result<Vec<IpAddr>, Cause> {
        let [six, four] = [Kind::Aaaa, Kind::A].map(|kind| self.aliased(name, kind, deadline));
        let (six, four) = match (six, four) {
            (Ok(six), Ok(four)) => (six, four),
            (Ok(found), Err(_)) | (Err(_), Ok(found)) if !found.is_empty() => (found, vec![]),
            (Err(cause), _) | (_, Err(cause)) => return Err(cause),
        };
        let longest = six.len().max(four.len());
        let turns = (0..longest).flat_map(|turn| [six.get(turn), four.get(turn)]);
        let found: Vec<_> = turns.flatten().copied().collect();
        if found.is_empty() { Err(Cause::NoSuchHost(name.to_owned())) } else { Ok(found) }
    }

    fn aliased(&self, name: &str, kind: Kind, deadline: Instant) -> Result<Vec<IpAddr>, Cause> {
        let mut asked = name.to_owned();
        for _ in 0..=MAX_ALIASES {
            match self.ask_all(&asked, kind, deadline)? {
                Reply::Addresses(addresses) => return Ok(addresses),
                Reply::NoAddress => return Ok(vec![]),
                Reply::Alias(next) => asked = next,
                _ => return Err(Cause::NoSuchHost(name.to_owned())),
            }
        }
        Err(Cause::Resolve(format!("{name}: a chain of aliases without an end")))
    }

    /// Asks each server, twice, until one says something.
    fn ask_all(&self, name: &str, kind: Kind, deadline: Instant) -> Result<Reply, Cause> {
        let question =
            Question::new(name, kind).ok_or_else(|| Cause::NoSuchHost(name.to_owned()))?;
        let mut last = String::new();
        for (patience, server) in
            PATIENCE.iter().flat_map(|p| self.names.servers.iter().map(move |s| (p, s)))
        {
            let left = deadline.saturating_duration_since(Instant::now()).min(*patience);
            if left.is_zero() {
                return Err(Cause::Timeout("resolving"));
            }
            match self.ask(&question, *server, left) {
                Ok(Reply::Failed(said)) => last = format!("{server} says {said}"),
                Ok(reply) => return Ok(reply),
                Err(cause) => last = format!("{server}: {}", reason(&cause)),
            }
        }
        Err(Cause::Resolve(format!("{name}: {last}")))
    }

    fn ask(
        &self,
        question: &Question,
        server: SocketAddr,
        patience: Duration,
    ) -> io::Result<Reply> {
        let mut id = [0; 2];
        self.random.fill(&mut id).map_err(|_| io::Error::other("no random numbers"))?;
        let id = u16::from_be_bytes(id);
        let message = question.message(id).ok_or(io::ErrorKind::InvalidInput)?;
        let until = Instant::now() + patience;
        match over_udp(&message, server, until, |bytes| question.reply(id, bytes).ok())? {
            Reply::Truncated => {
                let answer = over_tcp(&message, server, until)?;
                let reply =
                    question.reply(id, &answer).ok().filter(|reply| *reply != Reply::Truncated);
                reply.ok_or_else(|| io::Error::other("a wrong answer over TCP"))
            }
            reply => Ok(reply),
        }
    }
}

/// The socket is connected, so that the kernel takes nothing from elsewhere, and new, so that its port
/// has to be guessed too.
fn over_udp(
    message: &[u8],
    server: SocketAddr,
    until: Instant,
    read: impl Fn(&[u8]) -> Option<Reply>,
) -> io::Result<Reply> {
    let family = if server.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    // `UdpSocket::bind` would be refused where only connections are allowed; connecting chooses a port too.
    let socket = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    let socket = UdpSocket::from(socket);
    socket.connect(server)?;
    socket.send(message)?;
    let mut bytes = [0; DATAGRAM as usize];
    for _ in 0..MAX_FOREIGN {
        socket.set_read_timeout(Some(left(until)?))?;
        let length = socket.recv(&mut bytes)?;
        if let Some(reply) = bytes.get(..length).and_then(&read) {
            return Ok(reply);
        }
    }
    Err(io::Error::other("answers to questions that were not asked"))
}

/// RFC 1035, 4.2.2: the length goes before.
fn over_tcp(message: &[u8], server: SocketAddr, until: Instant) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&server, left(until)?)?;
    stream.set_write_timeout(Some(left(until)?))?;
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes()[..], message].concat())?;
    let length = read_until(&mut stream, until, 2)?;
    let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    read_until(&mut stream, until, length)
}

/// A read's time limit is only for the next bytes; this one is for all.
fn read_until(stream: &mut TcpStream, until: Instant, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut rest = bytes.as_mut_slice();
    while !rest.is_empty() {
        stream.set_read_timeout(Some(left(until)?))?;
        match stream.read(rest)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => rest = rest.get_mut(read..).unwrap_or_default(),
        }
    }
    Ok(bytes)
}

fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

fn reason(cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "no answer".to_owned(),
        _ => cause.to_string(),
    }
}

impl State {
    fn kept(&self, host: &str) -> Option<Vec<IpAddr>> {
        let kept = self.kept.iter().find(|(name, since, _)| name == host && since.elapsed() < KEPT);
        kept.map(|(_, _, addresses)| addresses.clone())
    }

    fn keep(&mut self, host: &str, addresses: &[IpAddr]) {
        self.kept.retain(|(name, _, _)| name != host);
        if self.kept.len() >= MAX_KEPT {
            self.kept.remove(0);
        }
        self.kept.push((host.to_owned(), Instant::now(), addresses.to_vec()));
    }

    /// What of `found` may be connected to.
    fn admit(&mut self, host: &str, found: Vec<IpAddr>) -> Result<Vec<IpAddr>, Cause> {
        if self.outside_only {
            let outside: Vec<_> =
                found.into_iter().filter(|address| !is_inside(*address)).collect();
            let refused = || Cause::Redirect(format!("to this machine or its link: {host}"));
            return if outside.is_empty() { Err(refused()) } else { Ok(outside) };
        }
        self.was_inside = found.iter().any(|address| is_inside(*address));
        Ok(found)
    }
}

impl Resolver for Dns {
    fn resolve(
        &self,
        uri: &Uri,
        _config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let authority = uri.authority().ok_or(ureq::Error::HostNotFound)?;
        let host = authority.host().to_ascii_lowercase();
        let time = timeout.not_zero().map_or(KEPT, |left| *left);
        let deadline = Instant::now().checked_add(time.min(KEPT)).unwrap_or_else(Instant::now);
        let found = self.find(&host, deadline);
        let admitted = match self.proxy.as_deref() == Some(authority.as_str()) {
            true => found,
            false => found.and_then(|found| self.state().admit(&host, found)),
        };
        let addresses = admitted.map_err(|cause| ureq::Error::Other(Box::new(cause)))?;
        let default = if uri.scheme_str() == Some("http") { 80 } else { 443 };
        let port = authority.port_u16().unwrap_or(default);
        let mut resolved = self.empty();
        for address in addresses.into_iter().take(MAX_ADDRESSES) {
            resolved.push(SocketAddr::new(address, port));
        }
        Ok(resolved)
    }
}

impl fmt::Debug for Dns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dns").field("servers", &self.names.servers).finish_non_exhaustive()
    }
}

/// Whether an address is this machine's, or its link's, where instances of clouds find their secrets.
pub(crate) fn is_inside(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(four) => {
            four.is_loopback()
                || four.is_link_local()
                || four.octets().starts_with(&[0])
                || four.octets() >= [224, 0, 0, 0]
        }
        IpAddr::V6(six) => {
            six.is_loopback()
                || six.is_unicast_link_local()
                || six.is_unspecified()
                || six.is_multicast()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine_and_its_link() {
        for text in [
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.0.1",
        ] {
            assert!(is_inside(text.parse().unwrap()), "{text}");
        }
        for text in
            ["192.0.2.1", "10.0.0.1", "192.168.1.1", "2001:db8::1", "fd00::1", "::ffff:192.0.2.1"]
        {
            assert!(!is_inside(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn who_comes_from_outside_stays_outside() {
        let [inside, outside] =
            ["127.0.0.1", "192.0.2.1"].map(|text| text.parse::<IpAddr>().unwrap());
        let mut state = State { outside_only: true, ..State::default() };
        assert_eq!(state.admit("a.example", vec![inside, outside]), Ok(vec![outside]));
        assert!(matches!(state.admit("a.example", vec![inside]), Err(Cause::Redirect(_))));
    }

    #[test]
    fn names_are_kept_within_bounds() {
        let mut state = State::default();
        (0..100).for_each(|n| state.keep(&n.to_string(), &[]));
        assert_eq!(state.kept.len(), MAX_KEPT);
        assert_eq!((state.kept("99"), state.kept("0")), (Some(vec![]), None));
    }
}
