use pintle_verify::Digest;
use ureq::http::Method;

use crate::client::{Client, Job};
use crate::{Cause, Error, Reference, refusal};

/// A blob, as a descriptor names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blob {
    /// Of its bytes.
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
}

impl Blob {
    /// The blob that `bytes` are.
    pub fn of(bytes: &[u8]) -> Self {
        Self { digest: Digest::of(bytes), size: bytes.len() as u64 }
    }

    pub(crate) fn path(&self) -> String {
        format!("blobs/{}", self.digest)
    }

    pub(crate) fn described(&self, reference: &Reference) -> String {
        format!("blob {} of {}", self.digest, reference.without_name())
    }
}

impl Client {
    /// Reads a small blob from the repository of `reference`, and checks it.
    ///
    /// # Errors
    /// [`Error::Request`]; with [`Cause::TooLarge`] if it is over its limit.
    pub fn blob(&mut self, reference: &Reference, blob: Blob) -> Result<Vec<u8>, Error> {
        let job = Job::fetch(blob.described(reference), reference);
        let limit = u64::from(self.settings.limits.blob);
        if blob.size > limit {
            return Err(job.failed(Cause::TooLarge { what: "blob", limit }));
        }
        self.attempt(&job, |client, endpoint| {
            let ask = client.ask(Method::GET, endpoint.target(&blob.path()), blob.size);
            let response = client.authorized(endpoint, ask, &[])?;
            let mut response = refusal::expect(response, &[200], &client.settings.limits)?;
            let bytes = response.read(blob.size, "blob")?;
            match Blob::of(&bytes) {
                found if found == blob => Ok(bytes),
                found => Err(Cause::Digest(found.digest)),
            }
        })
    }

    /// Whether the repository of `reference` has a blob, so that it need not be pushed.
    ///
    /// # Errors
    /// [`Error::Request`].
    pub fn has_blob(&mut self, reference: &Reference, digest: Digest) -> Result<bool, Error> {
        let blob = Blob { digest, size: 0 };
        let job = Job::push(blob.described(reference), reference);
        self.attempt(&job, |client, endpoint| {
            let ask = client.ask(Method::HEAD, endpoint.target(&blob.path()), 0);
            let response = client.authorized(endpoint, ask, &[])?;
            let response = refusal::expect(response, &[200, 404], &client.settings.limits)?;
            Ok(response.status == 200)
        })
    }
}
