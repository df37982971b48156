use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, LOCATION, TRANSFER_ENCODING,
};
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, RustlsConnector};
use ureq::{Agent, BodyReader, SendBody};

use crate::meter::{Meter, MeteredTcp};
use crate::resolver::{Dns, is_inside};
use crate::target::{Target, shown};
use crate::{Cause, Error, Limits, Settings, Traffic};

/// One HTTP exchange after the other, with the same limits for all.
#[derive(Debug)]
pub(crate) struct Wire {
    agent: Agent,
    meter: Arc<Meter>,
    dns: Dns,
    limits: Limits,
    /// When all of it must be over.
    deadline: Option<Instant>,
}

/// A request without its body.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) target: Target,
    pub(crate) headers: Vec<(HeaderName, String)>,
    /// Goes to the target's own origin only.
    pub(crate) authorization: Option<String>,
    /// Who says where to go.
    pub(crate) named_by: NamedBy,
    /// Bytes of the answer's body, at most.
    pub(crate) expected: u64,
    /// From the first packet to the last.
    pub(crate) within: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NamedBy {
    /// Whoever owns the machine.
    Settings,
    /// The last host that was asked.
    Registry,
}

/// What goes along with a request.
pub(crate) enum Payload<'a> {
    None,
    Bytes(&'a [u8]),
    /// As many bytes as the reader gives, and it gives as many as the header says.
    Stream(&'a mut dyn Read),
}

/// An answer whose body is still to come.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: BodyReader<'static>,
    /// What gave the answer, after all redirects.
    pub(crate) target: Target,
    /// What was said with the request that got it.
    pub(crate) authorization: Option<String>,
}

/// What a request may bring in beside its body: TLS's handshake with certificates is 10 KiB at most
/// in practice, its frames and the frames of chunks are far less than the body again.
const OVERHEAD: u64 = 128 << 10;

/// ureq takes 128 header fields, and what is over its limit of bytes does not fit this either.
const BUFFER: usize = 64 << 10;

impl Wire {
    pub(crate) fn new(settings: &Settings) -> Result<Self, Error> {
        let proxy = settings.proxy()?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let at = proxy
            .as_ref()
            .and_then(|proxy| proxy.uri().authority())
            .map(|at| at.as_str().to_owned());
        let dns = Dns::new(settings.names.clone(), at, provider.secure_random);
        let tls = TlsConfig::builder()
            .root_certs(roots(&settings.roots)?)
            .unversioned_rustls_crypto_provider(provider)
            .build();
        let limits = settings.limits.clone();
        let config = Agent::config_builder()
            .tls_config(tls)
            .proxy(proxy)
            .http_status_as_error(false)
            // Redirects are followed here, where it is known who may be told what.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("pintle/", env!("CARGO_PKG_VERSION")))
            // Nothing is unpacked, so nothing can unpack to more than was sent.
            .accept_encoding("identity")
            .max_response_header_size(limits.headers as usize)
            .input_buffer_size(BUFFER)
            .output_buffer_size(BUFFER)
            .timeout_resolve(Some(limits.connect))
            .timeout_connect(Some(limits.connect))
            .timeout_per_read(Some(limits.stall))
            .timeout_per_write(Some(limits.stall))
            .timeout_recv_response(Some(limits.answer))
            .build();
        let meter = Arc::<Meter>::default();
        let connector =
            ().chain(ConnectProxyConnector::default())
                .chain(MeteredTcp(Arc::clone(&meter)))
                .chain(RustlsConnector::default());
        let deadline = limits.total.and_then(|total| Instant::now().checked_add(total));
        let agent = Agent::with_parts(config, connector, dns.clone());
        Ok(Self { agent, meter, dns, limits, deadline })
    }

    pub(crate) fn traffic(&self) -> Traffic {
        self.meter.traffic()
    }

    /// How much time is left.
    pub(crate) fn left(&self) -> Duration {
        let left = |deadline: Instant| deadline.saturating_duration_since(Instant::now());
        self.deadline.map_or(Duration::MAX, left)
    }

    /// Sends `ask`, and where it is only a question, sends it on as the answers say.
    pub(crate) fn exchange(&self, ask: &Ask, payload: Payload<'_>) -> Result<Response, Cause> {
        match ask.named_by {
            NamedBy::Settings => self.dns.trust(),
            NamedBy::Registry => self.dns.distrust(),
        }
        let mut response = self.once(ask, payload)?;
        let mut ask = ask.clone();
        for _ in 0..self.limits.redirects {
            if !response.is_redirect() {
                return checked(response);
            }
            ask = self.redirected(ask, response)?;
            response = self.once(&ask, Payload::None)?;
        }
        match response.is_redirect() {
            true => Err(Cause::Redirect(format!("more than {}", self.limits.redirects))),
            false => checked(response),
        }
    }

    fn redirected(&self, mut ask: Ask, mut response: Response) -> Result<Ask, Cause> {
        if !matches!(ask.method, Method::GET | Method::HEAD) {
            return Err(Cause::Redirect(format!("of a {} request", ask.method)));
        }
        let location =
            response.header(LOCATION).ok_or_else(|| Cause::Redirect("to nowhere".to_owned()))?;
        let next = response.target.follow(location).map_err(Cause::Redirect)?;
        if is_inside_by_name(&next) && !is_inside_by_name(&response.target) {
            return Err(Cause::Redirect(format!("to this machine or its link: {}", next.host())));
        }
        response.drain(u64::from(self.limits.error));
        self.dns.distrust();
        ask.authorization = ask.authorization.filter(|_| next.is_same_origin(&ask.target));
        ask.target = next;
        Ok(ask)
    }

    fn once(&self, ask: &Ask, payload: Payload<'_>) -> Result<Response, Cause> {
        let within = ask.within.min(self.left());
        if within.is_zero() {
            return Err(Cause::Timeout("all of it"));
        }
        let request = Request::builder().method(&ask.method).uri(ask.target.to_string());
        let mut request = request.body(()).map_err(|cause| Cause::Protocol(cause.to_string()))?;
        for (name, value) in &ask.headers {
            request.headers_mut().insert(name, header(value)?);
        }
        if let Some(authorization) = &ask.authorization {
            request.headers_mut().insert(AUTHORIZATION, header(authorization)?);
        }
        self.meter.begin(ask.expected.saturating_mul(2).saturating_add(OVERHEAD));
        let answer = match payload {
            Payload::None if ask.method == Method::GET || ask.method == Method::HEAD => {
                self.run(request, within)
            }
            Payload::None => self.run(request.map(|()| &[][..]), within),
            Payload::Bytes(bytes) => self.run(request.map(|()| bytes), within),
            Payload::Stream(reader) => {
                self.run(request.map(|()| SendBody::from_reader(reader)), within)
            }
        };
        let (parts, body) = answer.map_err(cause_of)?.into_parts();
        Ok(Response {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.into_reader(),
            target: ask.target.clone(),
            authorization: ask.authorization.clone(),
        })
    }

    fn run<B: ureq::AsSendBody>(
        &self,
        request: Request<B>,
        within: Duration,
    ) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let request = self.agent.configure_request(request).timeout_global(Some(within)).build();
        self.agent.run(request)
    }
}

impl Response {
    /// The one value of a header; several, or one that is not text, are none.
    pub(crate) fn header(&self, name: HeaderName) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    }

    /// What the headers say about the length of the body.
    pub(crate) fn length(&self) -> Option<u64> {
        self.header(CONTENT_LENGTH)?.trim().parse().ok()
    }

    /// The body, which has at most `limit` bytes.
    pub(crate) fn read(&mut self, limit: u64, what: &'static str) -> Result<Vec<u8>, Cause> {
        let too_large = Cause::TooLarge { what, limit };
        if self.length().is_some_and(|length| length > limit) {
            return Err(too_large);
        }
        let mut bytes = Vec::new();
        let read = (&mut self.body).take(limit.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(cause_of_io)?;
        if bytes.len() as u64 > limit { Err(too_large) } else { Ok(bytes) }
    }

    /// Reads what is left, so that the connection can be used again; a long rest is not worth it.
    pub(crate) fn drain(&mut self, limit: u64) {
        // Where this fails the connection is not used again, and nobody needs to know.
        drop(io::copy(&mut (&mut self.body).take(limit), &mut io::sink()));
    }

    fn is_redirect(&self) -> bool {
        matches!(self.status, 301 | 302 | 303 | 307 | 308)
    }
}

/// Answers in forms that were not asked for.
fn checked(response: Response) -> Result<Response, Cause> {
    let encodings = response.headers.get_all(CONTENT_ENCODING).iter();
    if encodings.into_iter().any(|encoding| encoding != "identity") {
        return Err(Cause::answer("an encoding that was not asked for"));
    }
    let transfers = response.headers.get_all(TRANSFER_ENCODING).iter();
    if transfers.into_iter().any(|transfer| !transfer.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Err(Cause::answer("a transfer encoding that was not asked for"));
    }
    Ok(response)
}

/// With a proxy in between, nobody here knows where a name leads.
fn is_inside_by_name(target: &Target) -> bool {
    let host = target.host();
    host == "localhost" || host.ends_with(".localhost") || target.address().is_some_and(is_inside)
}

fn header(text: &str) -> Result<HeaderValue, Cause> {
    let mut value =
        HeaderValue::from_str(text).map_err(|cause| Cause::Protocol(cause.to_string()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn roots(pem: &[u8]) -> Result<RootCerts, Error> {
    let mut certificates: Vec<Certificate<'static>> = Vec::new();
    for item in parse_pem(pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => return Err(bad_roots("a private key among them")),
            Err(_) => return Err(bad_roots("not PEM")),
        }
    }
    if certificates.is_empty() && !pem.is_empty() {
        return Err(bad_roots("there are none"));
    }
    Ok(RootCerts::from(certificates.into_iter()))
}

fn bad_roots(cause: &str) -> Error {
    Error::Settings { what: "trusted certificates", cause: cause.to_owned() }
}

/// What an error of ureq means here.
pub(crate) fn cause_of(error: ureq::Error) -> Cause {
    use ureq::Error as E;
    match error {
        E::Io(cause) => cause_of_plain_io(&cause),
        E::Timeout(which) => Cause::Timeout(limit_of(which)),
        E::HostNotFound => Cause::NoSuchHost(String::new()),
        E::LargeResponseHeader(_, limit) => {
            Cause::TooLarge { what: "headers", limit: limit as u64 }
        }
        E::Rustls(cause) => Cause::Tls(cause.to_string()),
        E::Tls(cause) => Cause::Tls(cause.to_owned()),
        E::TlsRequired => Cause::Tls("there is none".to_owned()),
        E::ConnectProxyFailed(cause) => Cause::Connect(shown(&cause)),
        E::ConnectionFailed => Cause::Connect("for no known reason".to_owned()),
        E::BodyStalled => Cause::Protocol("a body that goes nowhere".to_owned()),
        E::Other(cause) => match cause.downcast::<Cause>() {
            Ok(cause) => *cause,
            Err(cause) => Cause::Protocol(cause.to_string()),
        },
        other => Cause::Protocol(shown(&other.to_string())),
    }
}

/// What an error means that came out of a body.
pub(crate) fn cause_of_io(error: io::Error) -> Cause {
    cause_of(ureq::Error::from(error))
}

fn cause_of_plain_io(error: &io::Error) -> Cause {
    use io::ErrorKind as Kind;
    if let Some(cause) = error.get_ref().and_then(|inner| inner.downcast_ref::<Cause>()) {
        return cause.clone();
    }
    match error.kind() {
        Kind::UnexpectedEof
        | Kind::ConnectionReset
        | Kind::ConnectionAborted
        | Kind::BrokenPipe
        | Kind::NotConnected => Cause::Cut(error.to_string()),
        Kind::QuotaExceeded => Cause::answer(error.to_string()),
        Kind::InvalidData => Cause::Tls(error.to_string()),
        Kind::TimedOut | Kind::WouldBlock => Cause::Timeout("nothing came"),
        _ => Cause::Connect(error.to_string()),
    }
}

fn limit_of(which: ureq::Timeout) -> &'static str {
    match which {
        ureq::Timeout::Resolve => "resolving",
        ureq::Timeout::Connect => "connecting",
        ureq::Timeout::PerRead => "nothing came",
        ureq::Timeout::PerWrite => "nothing was taken",
        ureq::Timeout::RecvResponse => "waiting for the answer",
        _ => "the request as a whole",
    }
}
