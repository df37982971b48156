use std::thread;
use std::time::Duration;

use ureq::http::Method;

use crate::backoff::Backoff;
use crate::target::{Scheme, Target};
use crate::wire::{Ask, NamedBy, Wire};
use crate::{Cause, Error, Reference, Settings, Tokens, Traffic};

/// A client of registries. It makes one request after the other and keeps its connections.
#[derive(Debug)]
pub struct Client {
    pub(crate) wire: Wire,
    pub(crate) settings: Settings,
    pub(crate) tokens: Tokens,
    pub(crate) backoff: Backoff,
}

/// A repository at one of the hosts that may have it.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) host: String,
    pub(crate) repository: String,
    /// The host's root.
    pub(crate) base: Target,
    /// What a token must be good for.
    pub(crate) scope: String,
}

/// What is to be done, for the error's sake, and where it may be.
pub(crate) struct Job<'r> {
    verb: &'static str,
    object: String,
    reference: &'r Reference,
    mirrors: bool,
}

impl<'r> Job<'r> {
    pub(crate) fn fetch(object: String, reference: &'r Reference) -> Self {
        Self { verb: "fetch", object, reference, mirrors: true }
    }

    /// Mirrors are not written to.
    pub(crate) fn push(object: String, reference: &'r Reference) -> Self {
        Self { verb: "push", object, reference, mirrors: false }
    }

    pub(crate) fn failed(&self, cause: Cause) -> Error {
        Error::Request { verb: self.verb, object: self.object.clone(), cause }
    }
}

impl Client {
    /// A client that has asked nobody yet.
    ///
    /// # Errors
    /// [`Error::Settings`] if they mean nothing.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        settings.check()?;
        let wire = Wire::new(&settings)?;
        let backoff = Backoff::new(settings.seed);
        Ok(Self { wire, settings, tokens: Tokens::default(), backoff })
    }

    /// The same client, with what an earlier one was given.
    #[must_use]
    pub fn with_tokens(self, tokens: Tokens) -> Self {
        Self { tokens, ..self }
    }

    /// What to give to the next client, so that it need not ask for tokens.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// All that was spoken so far, by this client, with whomever.
    pub fn traffic(&self) -> Traffic {
        self.wire.traffic()
    }

    /// Does `one` at each host that may have it, until one does it; and all over again, after a delay,
    /// as long as that may help.
    pub(crate) fn attempt<T>(
        &mut self,
        job: &Job<'_>,
        mut one: impl FnMut(&mut Self, &Endpoint) -> Result<T, Cause>,
    ) -> Result<T, Error> {
        let mut failures = 0;
        loop {
            let cause = match self.round(job, &mut one) {
                Ok(done) => return Ok(done),
                Err(cause) => cause,
            };
            failures += 1;
            self.pause(failures, cause).map_err(|cause| job.failed(cause))?;
        }
    }

    /// Each host once. What the last one says is what counts, unless it is final and another may yet
    /// answer.
    pub(crate) fn round<T>(
        &mut self,
        job: &Job<'_>,
        one: &mut impl FnMut(&mut Self, &Endpoint) -> Result<T, Cause>,
    ) -> Result<T, Cause> {
        let mut last = Cause::answer("no host to ask");
        for endpoint in self.endpoints(job) {
            match one(self, &endpoint) {
                Ok(done) => return Ok(done),
                Err(cause) => last = cause,
            }
        }
        Err(last)
    }

    fn endpoints(&self, job: &Job<'_>) -> Vec<Endpoint> {
        let (host, repository) = (job.reference.host(), job.reference.repository());
        if !job.mirrors {
            return vec![self.endpoint(host, repository.to_owned(), "pull,push")];
        }
        let mirrors = self.settings.mirrors_of(host).map(|(mirror, prefix)| match prefix {
            Some(prefix) => self.endpoint(mirror, format!("{prefix}/{repository}"), "pull"),
            None => self.endpoint(mirror, repository.to_owned(), "pull"),
        });
        mirrors.chain([self.endpoint(host, repository.to_owned(), "pull")]).collect()
    }

    fn endpoint(&self, host: &str, repository: String, access: &str) -> Endpoint {
        let plain = self.settings.plain.contains(host);
        let scheme = if plain { Scheme::Http } else { Scheme::Https };
        Endpoint {
            host: host.to_owned(),
            base: Target::new(scheme, host, "/".to_owned()),
            scope: format!("repository:{repository}:{access}"),
            repository,
        }
    }

    /// Waits before the next try.
    ///
    /// # Errors
    /// The cause, if there is none: it would not help, there were enough, or it is too long to wait.
    pub(crate) fn pause(&mut self, failures: u32, cause: Cause) -> Result<(), Cause> {
        let limits = &self.settings.limits;
        let wanted = cause.retry_after().unwrap_or_default();
        if !cause.is_transient() || failures >= limits.tries || wanted > limits.longest_delay {
            return Err(cause);
        }
        let delay = self.backoff.delay(failures, (limits.first_delay, limits.longest_delay));
        if delay.max(wanted) >= self.wire.left() {
            return Err(cause);
        }
        thread::sleep(delay.max(wanted));
        Ok(())
    }

    /// A request with an answer that is small.
    pub(crate) fn ask(&self, method: Method, target: Target, expected: u64) -> Ask {
        let within = self.settings.limits.answer;
        self.ask_within(method, target, (expected, within))
    }

    pub(crate) fn ask_within(
        &self,
        method: Method,
        target: Target,
        (expected, within): (u64, Duration),
    ) -> Ask {
        let named_by = NamedBy::Settings;
        Ask { method, target, headers: vec![], authorization: None, named_by, expected, within }
    }
}

impl Endpoint {
    /// Something of the repository: `manifests/stable`.
    pub(crate) fn target(&self, path: &str) -> Target {
        let path = format!("/v2/{}/{path}", self.repository);
        Target::new(self.base.scheme, &self.host, path)
    }

    pub(crate) fn origin(&self) -> String {
        self.base.origin()
    }

    /// The repository as a URL, which tells it from all others.
    pub(crate) fn place(&self) -> String {
        format!("{}/{}", self.origin(), self.repository)
    }
}
