use std::fmt;
use std::io::{self, Read};
use std::ops;
use std::time::{Duration, Instant};

use ureq::BodyReader;
use ureq::http::Method;
use ureq::http::header::{CONTENT_RANGE, RANGE};

use crate::client::{Client, Endpoint, Job};
use crate::wire::{Response, cause_of_io};
use crate::{Blob, Cause, ContentRange, Error, Reference, refusal};

/// Bytes of a blob, as they come; where the connection is cut they go on from there.
///
/// They are not checked: a digest is of the whole. At the end of the range it reads as ended, and its
/// connection is free for the next. An error's inner error is an [`Error`]; see [`Error::of_io`].
pub struct Range<'c> {
    client: &'c mut Client,
    reference: &'c Reference,
    blob: Blob,
    /// The next byte, and the first that is not wanted.
    next: u64,
    end: u64,
    body: Option<Body>,
    /// Tries since there was progress, and where that was.
    failures: u32,
    progress: u64,
    deadline: Instant,
}

/// An answer from the first byte that is wanted on.
struct Body {
    bytes: BodyReader<'static>,
    extent: Extent,
}

/// What an answer goes on with behind the last byte that is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Nothing: it is the range.
    Part,
    /// The rest of the blob, which is left unread.
    Whole,
}

/// So many bytes make tries count anew. With fewer, a server that sends a byte a connection would be
/// asked a million times for a megabyte.
const PROGRESS: u64 = 16 << 10;

impl Client {
    /// Reads a range of bytes of a blob in the repository of `reference`.
    ///
    /// # Errors
    /// [`Error::Request`] if the registry does not begin to send it, or if the blob has no such bytes.
    pub fn range<'c>(
        &'c mut self,
        reference: &'c Reference,
        blob: Blob,
        range: ops::Range<u64>,
    ) -> Result<Range<'c>, Error> {
        let within = self.settings.limits.stream;
        let deadline = Instant::now().checked_add(within).unwrap_or_else(Instant::now);
        let (next, end) = (range.start, range.end);
        let mut range = Range {
            client: self,
            reference,
            blob,
            next,
            end,
            body: None,
            failures: 0,
            progress: next,
            deadline,
        };
        if next > end || end > blob.size {
            return Err(range.job().failed(Cause::answer("the blob has no such bytes")));
        }
        while range.next < range.end && range.body.is_none() {
            range.open()?;
        }
        Ok(range)
    }
}

impl Error {
    /// What is in an error that reading a [`Range`] gave.
    pub fn of_io(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl fmt::Debug for Range<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Range({}..{} of {})", self.next, self.end, self.blob.digest)
    }
}

impl Read for Range<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.next < self.end && !buffer.is_empty() {
            let read = self.read_some(buffer).map_err(io::Error::other)?;
            if read > 0 {
                return Ok(read);
            }
        }
        Ok(0)
    }
}

impl<'c> Range<'c> {
    /// How many bytes are still to come.
    pub fn left(&self) -> u64 {
        self.end - self.next
    }

    /// Zero bytes mean: try again.
    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let Some(Body { bytes: body, .. }) = &mut self.body else {
            self.open()?;
            return Ok(0);
        };
        let wanted = usize::try_from(self.end - self.next).unwrap_or(usize::MAX).min(buffer.len());
        match body.read(buffer.get_mut(..wanted).unwrap_or_default()) {
            Ok(0) => self.retry(Cause::Cut("the body ended early".to_owned())).map(|()| 0),
            Ok(read) => self.advance(read).map(|()| read),
            Err(error) => self.retry(cause_of_io(error)).map(|()| 0),
        }
    }

    fn advance(&mut self, read: usize) -> Result<(), Error> {
        self.next += read as u64;
        if self.next - self.progress >= PROGRESS {
            (self.failures, self.progress) = (0, self.next);
        }
        match self.next == self.end {
            true => self.finish(),
            false => Ok(()),
        }
    }

    /// Sees the end of the answer, which gives the connection back. A cut there has cost nothing.
    fn finish(&mut self) -> Result<(), Error> {
        let Some(Body { mut bytes, extent: Extent::Part }) = self.body.take() else {
            return Ok(());
        };
        match bytes.read(&mut [0]) {
            Ok(1..) => Err(self.job().failed(Cause::answer("more bytes than asked for"))),
            _ => Ok(()),
        }
    }

    fn retry(&mut self, cause: Cause) -> Result<(), Error> {
        self.body = None;
        self.failures += 1;
        let paused = self.client.pause(self.failures, cause);
        paused.map_err(|cause| self.job().failed(cause))
    }

    fn open(&mut self) -> Result<(), Error> {
        let within = self.deadline.saturating_duration_since(Instant::now());
        if within.is_zero() {
            return Err(self.job().failed(Cause::Timeout("the transfer as a whole")));
        }
        let wanted = Wanted { blob: self.blob, first: self.next, end: self.end, within };
        let job = self.job();
        match self.client.round(&job, &mut |client, endpoint| client.open(endpoint, &wanted)) {
            Ok(body) => self.body = Some(body),
            Err(cause) => self.retry(cause)?,
        }
        Ok(())
    }

    fn job(&self) -> Job<'c> {
        Job::fetch(self.blob.described(self.reference), self.reference)
    }
}

/// What is asked for in one request.
struct Wanted {
    blob: Blob,
    first: u64,
    end: u64,
    within: Duration,
}

impl Client {
    fn open(&mut self, endpoint: &Endpoint, wanted: &Wanted) -> Result<Body, Cause> {
        let skip = self.settings.limits.skip;
        let expected = wanted.end - wanted.first + skip;
        let target = endpoint.target(&wanted.blob.path());
        let mut ask = self.ask_within(Method::GET, target, (expected, wanted.within));
        ask.headers.push((RANGE, format!("bytes={}-{}", wanted.first, wanted.end - 1)));
        let response = self.authorized(endpoint, ask, &[])?;
        let response = refusal::expect(response, &[200, 206], &self.settings.limits)?;
        match response.status {
            206 => wanted.part(response).map(|bytes| Body { bytes, extent: Extent::Part }),
            _ => wanted.whole(response, skip).map(|bytes| Body { bytes, extent: Extent::Whole }),
        }
    }
}

impl Wanted {
    /// The server gives a part: it must be this one.
    fn part(&self, response: Response) -> Result<BodyReader<'static>, Cause> {
        let text = response
            .header(CONTENT_RANGE)
            .ok_or_else(|| Cause::answer("a range without its place"))?;
        let range: ContentRange = text.parse().map_err(Cause::answer)?;
        let ours = range.first == self.first
            && range.last == self.end - 1
            && range.size.is_none_or(|size| size == self.blob.size);
        if !ours {
            return Err(Cause::answer("another range than asked for"));
        }
        is_long(&response, self.end - self.first)?;
        Ok(response.body)
    }

    /// The server knows no ranges, or finds it simpler to send all.
    fn whole(&self, mut response: Response, skip: u64) -> Result<BodyReader<'static>, Cause> {
        if self.first > skip {
            return Err(Cause::answer("the whole blob instead of a range"));
        }
        is_long(&response, self.blob.size)?;
        let skipped = io::copy(&mut (&mut response.body).take(self.first), &mut io::sink());
        match skipped.map_err(cause_of_io)? == self.first {
            true => Ok(response.body),
            false => Err(Cause::Cut("the body ended early".to_owned())),
        }
    }
}

fn is_long(response: &Response, expected: u64) -> Result<(), Cause> {
    match response.length() {
        Some(length) if length != expected => Err(Cause::answer("a body of another length")),
        _ => Ok(()),
    }
}
