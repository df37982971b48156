//! What a registry has, and how it answers.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pintle_transfer::document::Index;
use pintle_verify::{Architecture, Digest};
use rustix::net::sockopt::set_socket_linger;

use super::{Answers, Step, Then};
use crate::server::Peer;
use crate::support::{Release, blob_of};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Bytes that are said before the next are counted.
const AT_ONCE: usize = 4 << 10;

/// Alice's, who is known to the registry, as `Authorization` has it.
pub(crate) const PASSWORD: &str = "YWxpY2U6c2VjOnJldA==";

/// What the registry's own token server gives out.
pub(crate) const TOKEN: &str = "a-token-of-the-registry";

/// A release and its documents as they are served.
pub(crate) struct Shelf {
    pub(crate) release: Release,
    pub(crate) index: Vec<u8>,
    pub(crate) manifest: Vec<u8>,
    sent: AtomicU64,
    /// All that was asked for so far.
    asked: Mutex<Vec<Step>>,
}

/// A question, the right answer, and who asked.
pub(crate) struct Talk<'a> {
    peer: &'a mut Peer,
    sent: &'a AtomicU64,
    /// Another host and its port.
    pub(crate) elsewhere: &'a str,
    /// How often the same was asked for before.
    pub(crate) before: usize,
    pub(crate) head: &'a str,
    /// The whole of what was asked for.
    pub(crate) right: &'a [u8],
    pub(crate) media_type: &'static str,
}

impl Shelf {
    pub(crate) fn of(release: Release) -> Self {
        let manifest = release.manifest.to_bytes();
        let (sent, asked) = (AtomicU64::new(0), Mutex::default());
        let mut shelf = Self { release, index: vec![], manifest: vec![], sent, asked };
        shelf.put_manifest(manifest);
        shelf
    }

    /// Has another manifest, which the index names.
    pub(crate) fn put_manifest(&mut self, manifest: Vec<u8>) {
        (self.index, self.manifest) = (index_of(&manifest), manifest);
    }

    /// Has a manifest in which one text stands for another.
    pub(crate) fn replace_in_manifest(&mut self, old: &str, new: &str) {
        self.put_manifest(replaced(&self.manifest, old, new));
    }

    pub(crate) fn replace_in_index(&mut self, old: &str, new: &str) {
        self.index = replaced(&self.index, old, new);
    }

    pub(crate) fn manifest_digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    pub(crate) fn serve(&self, mut peer: Peer, other: Option<(Step, Answers)>, elsewhere: &str) {
        while let Some(head) = peer.request() {
            let path = head.split(' ').nth(1).unwrap_or_default();
            let Some((step, media_type, right)) = self.find(path) else {
                peer.say("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
                continue;
            };
            let peer = &mut peer;
            let (sent, head, right, before) = (&self.sent, &head, &right, self.note(step));
            let mut talk = Talk { peer, sent, elsewhere, before, head, right, media_type };
            let then = match other {
                Some((at, answers)) if at == step => answers(&mut talk),
                // Tokens are asked for only where it is said that they are needed.
                Some((Step::Token, _)) if !talk.is_told("authorization") => talk.wants_a_token(),
                _ => talk.answers_right(),
            };
            match then {
                Then::GoOn => {}
                Then::Close => return,
                Then::Reset => {
                    return set_socket_linger(&peer.stream, Some(Duration::ZERO)).unwrap();
                }
            }
        }
    }

    /// How often that was asked for before.
    fn note(&self, step: Step) -> usize {
        let mut asked = self.asked.lock().unwrap();
        asked.push(step);
        asked.iter().filter(|one| **one == step).count() - 1
    }

    fn find(&self, path: &str) -> Option<(Step, &'static str, Vec<u8>)> {
        const BYTES: &str = "application/octet-stream";
        let manifest = &self.release.manifest;
        if path.starts_with("/token") {
            let token = format!("{{\"token\":\"{TOKEN}\"}}");
            return Some((Step::Token, "application/json", token.into_bytes()));
        }
        if path.ends_with("/manifests/stable") {
            return Some((Step::Index, INDEX, self.index.clone()));
        }
        if path.ends_with(&format!("/manifests/{}", self.manifest_digest())) {
            return Some((Step::Manifest, MANIFEST, self.manifest.clone()));
        }
        let mut blobs = HashMap::from([
            (manifest.seal.digest, Step::Seal),
            (manifest.tree.digest, Step::Tree),
            (manifest.image.blob.digest, Step::Frames),
        ]);
        blobs.extend(manifest.deltas.iter().map(|delta| (delta.blob.digest, Step::Delta)));
        let digest = path.rsplit('/').next()?.parse().ok()?;
        Some((*blobs.get(&digest)?, BYTES, self.release.blobs.get(&digest)?.clone()))
    }
}

impl Talk<'_> {
    pub(crate) fn say(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        bytes.as_ref().chunks(AT_ONCE).all(|some| {
            let said = self.peer.say(some);
            self.sent.fetch_add(if said { some.len() as u64 } else { 0 }, Ordering::SeqCst);
            said
        })
    }

    /// The head of an answer, and a body of the length that it says.
    pub(crate) fn answer(&mut self, status: &str, headers: &str, body: &[u8]) -> Then {
        self.say(format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len()));
        self.say(body);
        Then::GoOn
    }

    /// The right answer, in a form that names its kind.
    pub(crate) fn answer_as(&mut self, media_type: &str, body: &[u8]) -> Then {
        self.answer("200 OK", &format!("Content-Type: {media_type}\r\n"), body)
    }

    pub(crate) fn answers_right(&mut self) -> Then {
        let (right, media_type) = (self.right, self.media_type);
        match self.range() {
            None => self.answer_as(media_type, right),
            Some(range) => {
                let headers = format!("{}Content-Type: {media_type}\r\n", self.place(&range));
                self.answer("206 Partial Content", &headers, &right[range.start..range.end])
            }
        }
    }

    /// The status of the right answer, and the place of its bytes.
    pub(crate) fn head_of_answer(&self) -> String {
        match self.range() {
            None => "HTTP/1.1 200 OK\r\n".to_owned(),
            Some(range) => format!("HTTP/1.1 206 Partial Content\r\n{}", self.place(&range)),
        }
    }

    /// `Content-Range` for these bytes.
    pub(crate) fn place(&self, range: &Range<usize>) -> String {
        let size = self.right.len();
        format!("Content-Range: bytes {}-{}/{size}\r\n", range.start, range.end - 1)
    }

    /// The bytes that are asked for, if not all are.
    pub(crate) fn range(&self) -> Option<Range<usize>> {
        let head = self.head.to_ascii_lowercase();
        let (first, last) = head.split("range: bytes=").nth(1)?.lines().next()?.split_once('-')?;
        Some(first.parse().ok()?..last.parse::<usize>().ok()? + 1)
    }

    /// Whether the request has this text.
    pub(crate) fn is_told(&self, text: &str) -> bool {
        self.head.contains(text)
    }

    /// Whether this is the other host.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.peer.host == self.elsewhere
    }

    /// To the same path at the other host.
    pub(crate) fn sends_elsewhere(&mut self) -> Then {
        let path = self.head.split(' ').nth(1).unwrap_or_default();
        let location = format!("Location: http://{}{path}\r\n", self.elsewhere);
        self.answer("307 Temporary Redirect", &location, b"")
    }

    pub(crate) fn wants_a_password(&mut self) -> Then {
        self.answer("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", b"")
    }

    pub(crate) fn wants_a_token(&mut self) -> Then {
        let realm = format!("http://{}/token", self.peer.host);
        self.challenges(&realm)
    }

    pub(crate) fn challenges(&mut self, realm: &str) -> Then {
        let challenge = format!("WWW-Authenticate: Bearer realm=\"{realm}\",service=\"x\"\r\n");
        self.answer("401 Unauthorized", &challenge, b"")
    }

    /// Says it over and over, as long as somebody reads.
    pub(crate) fn flood(&mut self, head: &str, bytes: &str) -> Then {
        self.say(head);
        let many = bytes.repeat(1 + 4096 / bytes.len());
        while self.say(&many) {}
        Then::Close
    }

    pub(crate) fn stall(&mut self) -> Then {
        self.peer.stall();
        Then::Close
    }
}

/// An index of one release, which has this manifest.
pub(crate) fn index_of(manifest: &[u8]) -> Vec<u8> {
    let mut index = Index::empty();
    index.put_release(Architecture::X86_64, blob_of(manifest));
    index.to_bytes()
}

fn replaced(document: &[u8], old: &str, new: &str) -> Vec<u8> {
    let text = std::str::from_utf8(document).unwrap();
    assert!(text.contains(old), "{old} is not in {text}");
    text.replacen(old, new, 1).into_bytes()
}
