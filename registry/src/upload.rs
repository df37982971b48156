use std::io::{Read, Seek, SeekFrom};

use ureq::http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use ureq::http::{HeaderName, Method};

use crate::client::{Client, Endpoint, Job};
use crate::content_range::number;
use crate::target::Target;
use crate::wire::{Ask, Payload, Response};
use crate::{Blob, Cause, Error, Reference, refusal};

/// What is pushed, and who is told how far it is.
struct Source<'s> {
    blob: Blob,
    data: &'s mut dyn Data,
    progress: &'s mut dyn FnMut(u64),
}

trait Data: Read + Seek {}
impl<T: Read + Seek> Data for T {}

/// An upload that the registry has begun: where it goes on, and how much of it is there.
struct Session {
    target: Target,
    offset: u64,
    /// What let us in when it began.
    authorization: Option<String>,
}

const OCTETS: &str = "application/octet-stream";
/// What a registry that joins chunks in an object store wants: 5 MiB with S3. More is not believed.
const MAX_MIN_CHUNK: u64 = 64 << 20;
const MIN_CHUNK: HeaderName = HeaderName::from_static("oci-chunk-min-length");

impl Client {
    /// Puts a blob into the repository of `reference`, unless it is there: `data`, from its beginning, has
    /// `blob.size` bytes with `blob.digest`. `progress` is told how many bytes the registry has.
    ///
    /// Large blobs go in chunks, and after a cut from where the registry says it stopped; a registry that
    /// knows no chunks gets the whole in one request.
    ///
    /// # Errors
    /// [`Error::Request`]; with [`Cause::Source`] if `data` cannot be read, or ends early.
    pub fn upload(
        &mut self,
        reference: &Reference,
        blob: Blob,
        data: &mut (impl Read + Seek),
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), Error> {
        if self.has_blob(reference, blob.digest)? {
            progress(blob.size);
            return Ok(());
        }
        let job = Job::push(blob.described(reference), reference);
        let mut source = Source { blob, data, progress };
        self.attempt(&job, |client, endpoint| client.upload_to(endpoint, &mut source))
    }

    fn upload_to(&mut self, endpoint: &Endpoint, source: &mut Source<'_>) -> Result<(), Cause> {
        let (session, chunk) = self.begin(endpoint)?;
        if source.blob.size <= chunk {
            return self.whole(endpoint, session, source);
        }
        match self.chunks(endpoint, session, (source, chunk)) {
            Err(Cause::Status { code: 404 | 405 | 501, .. }) => {
                let (session, _) = self.begin(endpoint)?;
                self.whole(endpoint, session, source)
            }
            done => done,
        }
    }

    /// Begins an upload, and says how large its chunks are to be.
    fn begin(&mut self, endpoint: &Endpoint) -> Result<(Session, u64), Cause> {
        let ask = self.ask(Method::POST, endpoint.target("blobs/uploads/"), 0);
        let response = self.authorized(endpoint, ask, &[])?;
        let response = refusal::expect(response, &[202], &self.settings.limits)?;
        let least = response.header(MIN_CHUNK).and_then(number).unwrap_or(0).min(MAX_MIN_CHUNK);
        let chunk = u64::from(self.settings.limits.chunk).max(least);
        Ok((Session::of(&response, 0)?, chunk))
    }

    /// All bytes in the request that also ends the upload.
    fn whole(
        &mut self,
        endpoint: &Endpoint,
        session: Session,
        source: &mut Source<'_>,
    ) -> Result<(), Cause> {
        source.data.rewind().map_err(unreadable)?;
        let within = self.settings.limits.stream;
        let target = session.target.with_query("digest", &source.blob.digest.to_string());
        let mut ask = self.ask_within(Method::PUT, target, (0, within));
        ask.headers.push((CONTENT_TYPE, OCTETS.to_owned()));
        ask.headers.push((CONTENT_LENGTH, source.blob.size.to_string()));
        if ask.target.is_same_origin(&endpoint.base) {
            ask.authorization = session.authorization;
        }
        let mut body = Watched { left: source.blob.size, source };
        let response = self.wire.exchange(&ask, Payload::Stream(&mut body))?;
        refusal::expect(response, &[201], &self.settings.limits).map(drop)
    }

    /// One chunk after the other; after a cut, from where the registry says.
    fn chunks(
        &mut self,
        endpoint: &Endpoint,
        mut session: Session,
        (source, chunk): (&mut Source<'_>, u64),
    ) -> Result<(), Cause> {
        let mut failures = 0;
        while session.offset < source.blob.size {
            let before = session.offset;
            match self.chunk(endpoint, &session, source.take(before, chunk)?) {
                Ok(next) => session = next,
                Err(cause) => {
                    session = self.resume(endpoint, &session, (&mut failures, cause))?;
                }
            }
            if session.offset > source.blob.size {
                return Err(Cause::answer("more bytes than were sent"));
            }
            if session.offset > before {
                failures = 0;
                (source.progress)(session.offset);
            }
        }
        self.end(endpoint, session, source.blob)
    }

    fn chunk(
        &mut self,
        endpoint: &Endpoint,
        session: &Session,
        bytes: Vec<u8>,
    ) -> Result<Session, Cause> {
        let end = session.offset + bytes.len() as u64;
        let mut ask = self.ask_within(
            Method::PATCH,
            session.target.clone(),
            (0, self.settings.limits.stream),
        );
        ask.headers.push((CONTENT_TYPE, OCTETS.to_owned()));
        ask.headers.push((CONTENT_RANGE, format!("{}-{}", session.offset, end - 1)));
        let response = self.told(endpoint, ask, &bytes)?;
        let response = refusal::expect(response, &[202], &self.settings.limits)?;
        Session::of(&response, offset(&response).unwrap_or(end))
    }

    /// Asks where an upload stopped, until it is known: the next byte there may be another than here.
    fn resume(
        &mut self,
        endpoint: &Endpoint,
        session: &Session,
        (failures, mut cause): (&mut u32, Cause),
    ) -> Result<Session, Cause> {
        loop {
            *failures += 1;
            // A chunk that is refused for its place is not where we think, which asking mends.
            let misplaced = matches!(cause, Cause::Status { code: 416, .. });
            if !misplaced || *failures >= self.settings.limits.tries {
                self.pause(*failures, cause)?;
            }
            match self.place(endpoint, session) {
                Err(next) if next != lost() => cause = next,
                found => return found,
            }
        }
    }

    fn place(&mut self, endpoint: &Endpoint, session: &Session) -> Result<Session, Cause> {
        let ask = self.ask(Method::GET, session.target.clone(), 0);
        let response = self.told(endpoint, ask, &[])?;
        let response = refusal::expect(response, &[204], &self.settings.limits);
        let response = response.map_err(|cause| match cause {
            // Distribution 2.8 gives up an upload whose last chunk was cut.
            Cause::Status { code: 400..500, .. } => lost(),
            cause => cause,
        })?;
        let offset = offset(&response);
        let offset = offset.ok_or_else(|| Cause::answer("an upload without its place"))?;
        let here = Session { target: session.target.clone(), offset, authorization: None };
        Ok(Session::of(&response, offset).unwrap_or(here))
    }

    fn end(&mut self, endpoint: &Endpoint, session: Session, blob: Blob) -> Result<(), Cause> {
        let target = session.target.with_query("digest", &blob.digest.to_string());
        let ask = self.ask(Method::PUT, target, 0);
        let response = self.told(endpoint, ask, &[])?;
        refusal::expect(response, &[201], &self.settings.limits).map(drop)
    }

    /// A session's place may be elsewhere; there nobody is told who we are.
    fn told(&mut self, endpoint: &Endpoint, ask: Ask, body: &[u8]) -> Result<Response, Cause> {
        if ask.target.is_same_origin(&endpoint.base) {
            return self.authorized(endpoint, ask, body);
        }
        let payload = if body.is_empty() { Payload::None } else { Payload::Bytes(body) };
        self.wire.exchange(&ask, payload)
    }
}

impl Session {
    /// Where an answer says that it goes on.
    fn of(response: &Response, offset: u64) -> Result<Self, Cause> {
        let authorization = response.authorization.clone();
        Ok(Self { target: location(response)?, offset, authorization })
    }
}

impl Source<'_> {
    /// The bytes of a chunk.
    fn take(&mut self, offset: u64, chunk: u64) -> Result<Vec<u8>, Cause> {
        let length = chunk.min(self.blob.size - offset);
        self.data.seek(SeekFrom::Start(offset)).map_err(unreadable)?;
        let mut bytes = Vec::new();
        (&mut *self.data).take(length).read_to_end(&mut bytes).map_err(unreadable)?;
        match bytes.len() as u64 == length {
            true => Ok(bytes),
            false => Err(Cause::Source("it ends early".to_owned())),
        }
    }
}

/// All of a source, with its progress.
struct Watched<'w, 's> {
    left: u64,
    source: &'w mut Source<'s>,
}

impl Read for Watched<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.source.data.read(buffer.get_mut(..wanted).unwrap_or_default());
        let read = read.map_err(|cause| std::io::Error::other(unreadable(cause)))?;
        if read == 0 && wanted > 0 {
            return Err(std::io::Error::other(Cause::Source("it ends early".to_owned())));
        }
        self.left -= read as u64;
        (self.source.progress)(self.source.blob.size - self.left);
        Ok(read)
    }
}

/// The upload has to begin anew.
fn lost() -> Cause {
    Cause::Cut("the registry gave the upload up".to_owned())
}

fn unreadable(cause: std::io::Error) -> Cause {
    Cause::Source(cause.to_string())
}

fn location(response: &Response) -> Result<Target, Cause> {
    let location =
        response.header(LOCATION).ok_or_else(|| Cause::answer("an upload without a place"))?;
    response.target.follow(location).map_err(Cause::Redirect)
}

/// `Range: 0-LAST`; of nothing it is `0-0`, which one byte would be too.
fn offset(response: &Response) -> Option<u64> {
    let range = response.header(RANGE)?;
    let last = number(range.strip_prefix("bytes=").unwrap_or(range).strip_prefix("0-")?)?;
    if last == 0 { Some(0) } else { last.checked_add(1) }
}
