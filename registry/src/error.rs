use std::fmt;
use std::time::Duration;

use pintle_verify::Digest;

/// What keeps something from being read, fetched or pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A text that is not the name of something in a registry.
    Reference {
        /// The text.
        found: String,
        /// What to write instead.
        expected: &'static str,
    },
    /// A setting, or a file that settings are made from, that cannot be used.
    Settings {
        /// Which.
        what: &'static str,
        /// Why not.
        cause: String,
    },
    /// Something that was asked of a registry.
    Request {
        /// What was to be done: `fetch`, `push`.
        verb: &'static str,
        /// With what: `tag stable of example.com/os`.
        object: String,
        /// What came in the way.
        cause: Cause,
    },
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The name servers say that there is no such host.
    NoSuchHost(String),
    /// The name servers say nothing, or nothing that can be used.
    Resolve(String),
    /// No connection, to the host or through the proxy.
    Connect(String),
    /// No trust in the other side, or no common language with it.
    Tls(String),
    /// A limit of time passed; which.
    Timeout(&'static str),
    /// The connection ended before the answer did.
    Cut(String),
    /// What came is not HTTP.
    Protocol(String),
    /// The registry refuses; its words are cut short and cleaned.
    Status {
        /// The HTTP status.
        code: u16,
        /// What the registry says about it, perhaps nothing.
        detail: String,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// The registry wants to know who asks, and is not satisfied, or asks in a way that is refused.
    Unauthorized(String),
    /// It sends us where we do not go.
    Redirect(String),
    /// It sends more than is allowed; what, and the limit in bytes.
    TooLarge {
        /// Of what there is too much.
        what: &'static str,
        /// What is allowed, in bytes.
        limit: u64,
    },
    /// It answers something else than was asked for.
    Answer(String),
    /// These bytes have another digest than the one asked for.
    Digest(Digest),
    /// What was to be pushed cannot be read.
    Source(String),
}

impl Error {
    /// Whether the same request may succeed later, with nothing changed here.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Request { cause, .. } if cause.is_transient())
    }

    /// How long the registry wants to be left alone, at most as long as the limits allow.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Request { cause, .. } => cause.retry_after(),
            _ => None,
        }
    }

    /// What came in the way of a request.
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Request { cause, .. } => Some(cause),
            _ => None,
        }
    }

    /// Whether the registry says that it does not have this.
    pub fn is_missing(&self) -> bool {
        matches!(self.cause(), Some(Cause::Status { code: 404, .. }))
    }
}

impl Cause {
    /// Whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Resolve(_) | Self::Connect(_) | Self::Timeout(_) | Self::Cut(_) => true,
            Self::Status { code, .. } => matches!(code, 408 | 429 | 500..=599),
            _ => false,
        }
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    pub(crate) fn answer(text: impl Into<String>) -> Self {
        Self::Answer(text.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reference { found, expected } => {
                write!(f, "cannot read reference {found:?}: expected {expected}")
            }
            Self::Settings { what, cause } => write!(f, "cannot use {what}: {cause}"),
            Self::Request { verb, object, cause } => write!(f, "cannot {verb} {object}: {cause}"),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchHost(host) => write!(f, "no such host: {host}"),
            Self::Resolve(cause) => write!(f, "cannot resolve {cause}"),
            Self::Connect(cause) => write!(f, "cannot connect: {cause}"),
            Self::Tls(cause) => write!(f, "TLS: {cause}"),
            Self::Timeout(what) => write!(f, "timed out: {what}"),
            Self::Cut(cause) => write!(f, "connection cut: {cause}"),
            Self::Protocol(cause) => write!(f, "not HTTP: {cause}"),
            Self::Status { code, detail, .. } if detail.is_empty() => write!(f, "status {code}"),
            Self::Status { code, detail, .. } => write!(f, "status {code}: {detail}"),
            Self::Unauthorized(cause) => write!(f, "not authorized: {cause}"),
            Self::Redirect(cause) => write!(f, "redirect refused: {cause}"),
            Self::TooLarge { what, limit } => write!(f, "{what} over the limit of {limit} bytes"),
            Self::Answer(cause) => write!(f, "wrong answer: {cause}"),
            Self::Digest(found) => write!(f, "the bytes have digest {found}"),
            Self::Source(cause) => write!(f, "cannot read the data: {cause}"),
        }
    }
}

impl std::error::Error for Error {}
impl std::error::Error for Cause {}
