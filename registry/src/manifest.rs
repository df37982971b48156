use pintle_verify::Digest;
use serde::{Deserialize, Serialize};
use ureq::http::header::{ACCEPT, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use ureq::http::{HeaderName, Method};

use crate::client::{Client, Endpoint, Job};
use crate::wire::Response;
use crate::{Cause, Error, Reference, json, refusal};

/// What a registry says about a manifest or an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is still the one that is known.
    Unchanged,
    /// This is it.
    Manifest {
        /// The document, as it was pushed.
        bytes: Vec<u8>,
        /// Its kind, without parameters: one of those that were asked for, and what the document itself
        /// says, if it says it.
        media_type: String,
        /// The digest of `bytes`.
        digest: Digest,
        /// What to show next time, if the registry can tell by it that nothing has changed.
        known: Option<Known>,
    },
}

/// Which manifest was seen last, and where; a mirror's is not the registry's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    place: String,
    tag: String,
    etag: String,
    digest: Digest,
}

impl Known {
    /// The manifest's digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

/// Images and indexes, of OCI and of docker.
const MEDIA_TYPES: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// Most are a digest in quotes.
const MAX_ETAG: usize = 256;

const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// The one member that is looked at here.
#[derive(Deserialize)]
struct Document {
    #[serde(rename = "mediaType")]
    media_type: Option<String>,
}

impl Client {
    /// Asks for the manifest or the index that `reference` names, by its digest or else by its tag.
    ///
    /// If it is `known` and has not changed, this is one small request, once the client has a token.
    ///
    /// # Errors
    /// [`Error::Reference`] if it has neither tag nor digest; [`Error::Request`].
    pub fn manifest(
        &mut self,
        reference: &Reference,
        known: Option<&Known>,
    ) -> Result<Answer, Error> {
        let job = Job::fetch(described(reference)?, reference);
        self.attempt(&job, |client, endpoint| client.manifest_at(endpoint, reference, known))
    }

    /// Puts a manifest or an index into the registry, under the tag of `reference`, else under its digest.
    /// What it names must be there before.
    ///
    /// # Errors
    /// [`Error::Request`]; [`Error::Reference`] if it has neither tag nor digest.
    pub fn put_manifest(
        &mut self,
        reference: &Reference,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<Digest, Error> {
        let job = Job::push(described(reference)?, reference);
        let digest = Digest::of(bytes);
        if reference.tag().is_none() && reference.digest() != Some(digest) {
            return Err(job.failed(Cause::Digest(digest)));
        }
        self.attempt(&job, |client, endpoint| {
            let name = reference.tag().map_or_else(|| digest.to_string(), ToOwned::to_owned);
            let target = endpoint.target(&format!("manifests/{name}"));
            let mut ask = client.ask(Method::PUT, target, 0);
            ask.headers.push((CONTENT_TYPE, media_type.to_owned()));
            let response = client.authorized(endpoint, ask, bytes)?;
            let response = refusal::expect(response, &[201], &client.settings.limits)?;
            is_as_claimed(&response, digest).map(|()| digest)
        })
    }

    fn manifest_at(
        &mut self,
        endpoint: &Endpoint,
        reference: &Reference,
        known: Option<&Known>,
    ) -> Result<Answer, Cause> {
        let name = name(reference);
        let known = known.filter(|known| known.place == endpoint.place() && known.tag == name);
        let limit = u64::from(self.settings.limits.manifest);
        let mut ask = self.ask(Method::GET, endpoint.target(&format!("manifests/{name}")), limit);
        ask.headers.push((ACCEPT, MEDIA_TYPES.join(", ")));
        ask.headers.extend(known.map(|known| (IF_NONE_MATCH, known.etag.clone())));
        let response = self.authorized(endpoint, ask, &[])?;
        let statuses: &[u16] = if known.is_some() { &[200, 304] } else { &[200] };
        let mut response = refusal::expect(response, statuses, &self.settings.limits)?;
        if response.status == 304 {
            return Ok(Answer::Unchanged);
        }
        let bytes = response.read(limit, "manifest")?;
        read(&response, bytes, (endpoint, reference))
    }
}

fn read(
    response: &Response,
    bytes: Vec<u8>,
    (endpoint, reference): (&Endpoint, &Reference),
) -> Result<Answer, Cause> {
    let digest = Digest::of(&bytes);
    if reference.digest().is_some_and(|asked| asked != digest) {
        return Err(Cause::Digest(digest));
    }
    is_as_claimed(response, digest)?;
    let media_type = media_type(response, &bytes)?;
    let known = response.header(ETAG).filter(|etag| etag.len() <= MAX_ETAG).map(|etag| Known {
        place: endpoint.place(),
        tag: name(reference),
        etag: etag.to_owned(),
        digest,
    });
    Ok(Answer::Manifest { bytes, media_type, digest, known })
}

/// The header and the document must agree, else each reader takes it for something else
/// (CVE-2021-41190).
fn media_type(response: &Response, bytes: &[u8]) -> Result<String, Cause> {
    let header = response.header(CONTENT_TYPE).unwrap_or_default();
    let said = header.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !MEDIA_TYPES.contains(&said.as_str()) {
        return Err(Cause::answer("a media type that was not asked for"));
    }
    let document = json::object::<Document>(bytes);
    let document = document.ok_or_else(|| Cause::answer("a manifest that is not JSON"))?;
    match document.media_type {
        Some(inner) if inner != said => Err(Cause::answer("a manifest of another media type")),
        _ => Ok(said),
    }
}

fn is_as_claimed(response: &Response, digest: Digest) -> Result<(), Cause> {
    let claimed = response.header(DIGEST).and_then(|text| text.parse::<Digest>().ok());
    match claimed {
        Some(claimed) if claimed != digest => Err(Cause::Digest(digest)),
        _ => Ok(()),
    }
}

fn name(reference: &Reference) -> String {
    match reference.digest() {
        Some(digest) => digest.to_string(),
        None => reference.tag().unwrap_or_default().to_owned(),
    }
}

fn described(reference: &Reference) -> Result<String, Error> {
    let place = reference.without_name();
    match (reference.digest(), reference.tag()) {
        (Some(digest), _) => Ok(format!("manifest {digest} of {place}")),
        (None, Some(tag)) => Ok(format!("tag {tag} of {place}")),
        (None, None) => Err(Error::Reference {
            found: place.to_string(),
            expected: "a tag or a digest behind it, such as :stable",
        }),
    }
}
