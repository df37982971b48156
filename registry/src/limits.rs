use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How much is taken from a registry, and how long it is waited for. Everything is finite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// To reach a host: all its addresses, the proxy and TLS included.
    pub connect: Duration,
    /// Without a single byte.
    pub stall: Duration,
    /// For one request with a small answer, redirects included.
    pub answer: Duration,
    /// For a range or an upload as a whole, with all its resumptions.
    pub stream: Duration,
    /// For all that a client does, from when it is made.
    pub total: Option<Duration>,
    /// How often a request is made before it fails. After progress it counts anew.
    pub tries: u32,
    /// Before the second try; it doubles from there, and is shortened at random by up to a half.
    pub first_delay: Duration,
    /// Between two tries at most. A registry that wants more is left alone: the request fails.
    pub longest_delay: Duration,
    /// The longest `Retry-After` that is believed, and reported.
    pub retry_after: Duration,
    /// How often one request is sent elsewhere.
    pub redirects: u32,
    /// Bytes of an answer's status line and headers.
    pub headers: u32,
    /// Bytes of a manifest or an index.
    pub manifest: u32,
    /// Bytes of a blob that is read whole.
    pub blob: u32,
    /// Bytes of a token server's answer.
    pub token: u32,
    /// Bytes of an answer that says why not.
    pub error: u32,
    /// Bytes that are read for nothing when a server sends a whole blob instead of a range.
    pub skip: u64,
    /// Bytes of an upload that are sent in one request.
    pub chunk: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Three addresses' worth of SYN retransmissions.
            connect: Duration::from_secs(20),
            stall: Duration::from_secs(30),
            answer: Duration::from_secs(60),
            // 1 GiB at 32 KiB a second takes nine hours.
            stream: Duration::from_hours(12),
            total: None,
            tries: 5,
            first_delay: Duration::from_millis(500),
            longest_delay: Duration::from_secs(30),
            retry_after: Duration::from_hours(24),
            redirects: 5,
            // Clouds add a few dozen headers; servers themselves take 8 to 16 KiB.
            headers: 16 << 10,
            // What the distribution specification asks registries to accept.
            manifest: 4 << 20,
            blob: 16 << 20,
            token: 64 << 10,
            error: 16 << 10,
            skip: 1 << 20,
            // Small enough for every registry's front end, and more than the least that any wants.
            chunk: 8 << 20,
        }
    }
}
