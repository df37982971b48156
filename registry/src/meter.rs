use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, NextTimeout, TcpConnector, Transport,
};

/// What was spoken so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// HTTP requests, each redirect and each token being one more; a proxy's `CONNECT` is none.
    pub requests: u64,
    /// Bytes that were written to TCP: with headers, with TLS's handshakes and frames; without what
    /// TCP and DNS need.
    pub sent: u64,
    /// Bytes that were read from TCP.
    pub received: u64,
}

/// Counts, and allows only so much to come in.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    requests: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    /// The count at which nothing more is read.
    ceiling: AtomicU64,
}

impl Meter {
    pub(crate) fn traffic(&self) -> Traffic {
        let [requests, sent, received] =
            [&self.requests, &self.sent, &self.received].map(|count| count.load(Relaxed));
        Traffic { requests, sent, received }
    }

    /// A request begins that may bring in `bytes`.
    pub(crate) fn begin(&self, bytes: u64) {
        self.requests.fetch_add(1, Relaxed);
        self.ceiling.store(self.received.load(Relaxed).saturating_add(bytes), Relaxed);
    }

    fn receive(&self, bytes: usize) -> Result<(), ureq::Error> {
        let before = self.received.fetch_add(bytes as u64, Relaxed);
        if before.saturating_add(bytes as u64) > self.ceiling.load(Relaxed) {
            return Err(io::Error::new(
                io::ErrorKind::QuotaExceeded,
                "more bytes than were asked for",
            )
            .into());
        }
        Ok(())
    }
}

/// Opens TCP connections that are metered.
#[derive(Debug)]
pub(crate) struct MeteredTcp(pub(crate) Arc<Meter>);

impl<In: Transport> Connector<In> for MeteredTcp {
    type Out = Either<In, Metered>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        // What a proxy opened went through here before.
        if let Some(tunnel) = chained {
            return Ok(Some(Either::A(tunnel)));
        }
        let tcp = Connector::<()>::connect(&TcpConnector::default(), details, None)?;
        Ok(tcp.map(|tcp| Either::B(Metered { tcp: Box::new(tcp), meter: Arc::clone(&self.0) })))
    }
}

/// A TCP connection.
#[derive(Debug)]
pub(crate) struct Metered {
    tcp: Box<dyn Transport>,
    meter: Arc<Meter>,
}

impl Transport for Metered {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.tcp.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.meter.sent.fetch_add(amount as u64, Relaxed);
        self.tcp.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let before = self.tcp.buffers().input().len();
        let progress = self.tcp.await_input(timeout).map_err(ends_nothing)?;
        let after = self.tcp.buffers().input().len();
        self.meter.receive(after.saturating_sub(before))?;
        Ok(progress)
    }

    fn is_open(&mut self) -> bool {
        self.tcp.is_open()
    }
}

/// A reset as an error that ureq hands on. As it comes, it would be the end of a body without a
/// length.
fn ends_nothing(error: ureq::Error) -> ureq::Error {
    use io::ErrorKind as Kind;
    match error {
        ureq::Error::Io(cause)
            if matches!(cause.kind(), Kind::ConnectionReset | Kind::ConnectionAborted) =>
        {
            io::Error::new(Kind::BrokenPipe, cause).into()
        }
        other => other,
    }
}
