//! Pushing and pulling, over HTTP and over TLS.

use std::io::{Cursor, Read};

use pintle_registry::{Answer, Blob, Cause, Client, Error, Limits, Reference, Settings};
use pintle_verify::Digest;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::registry::{Door, Registry};
use crate::settings::{client, plain, quick, reference};

/// `size` bytes that do not repeat.
pub(crate) fn noise(size: usize) -> Vec<u8> {
    let mut state = 7u64;
    let mut step = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u8
    };
    (0..size).map(|_| step()).collect()
}

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Puts an empty image into the registry, under the reference's tag.
pub(crate) fn push_image(client: &mut Client, reference: &Reference, name: &str) -> Vec<u8> {
    let config = format!("{{\"name\":\"{name}\"}}").into_bytes();
    push_blob(client, reference, &config);
    let config = Blob::of(&config);
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":{}}},"layers":[]}}"#,
        config.digest, config.size
    );
    client.put_manifest(reference, MANIFEST, manifest.as_bytes()).unwrap();
    manifest.into_bytes()
}

pub(crate) fn push_blob(client: &mut Client, reference: &Reference, bytes: &[u8]) -> Vec<u64> {
    let mut seen = Vec::new();
    let mut tell = |sent| seen.push(sent);
    client.upload(reference, Blob::of(bytes), &mut Cursor::new(bytes), &mut tell).unwrap();
    seen
}

pub(crate) fn read_range(
    client: &mut Client,
    reference: &Reference,
    bytes: &[u8],
    range: std::ops::Range<usize>,
) {
    let mut read = Vec::new();
    let wanted = range.start as u64..range.end as u64;
    client.range(reference, Blob::of(bytes), wanted).unwrap().read_to_end(&mut read).unwrap();
    assert!(read == bytes[range.clone()], "{range:?}");
}

fn open() -> (Registry, Client, Reference) {
    let registry = Registry::start(&Door::Open);
    let reference = reference(&registry.host(), "os:stable");
    let client = client(plain(&[&registry.host()]));
    (registry, client, reference)
}

#[test]
fn what_is_pushed_can_be_pulled() {
    let (_registry, mut client, reference) = open();
    let pushed = push_image(&mut client, &reference, "v1");
    let answer = client.manifest(&reference, None).unwrap();
    let Answer::Manifest { bytes, media_type, digest, known } = answer else {
        panic!("{answer:?}")
    };
    assert_eq!((&bytes, media_type.as_str(), digest), (&pushed, MANIFEST, Digest::of(&pushed)));
    assert_eq!(known.map(|known| known.digest()), Some(digest));
    let by_digest = client.manifest(&reference.with_digest(digest), None).unwrap();
    assert!(matches!(by_digest, Answer::Manifest { bytes, .. } if bytes == pushed));
    let config = br#"{"name":"v1"}"#;
    assert_eq!(client.blob(&reference, Blob::of(config)).unwrap(), config);
    assert!(client.has_blob(&reference, Blob::of(config).digest).unwrap());
    assert!(!client.has_blob(&reference, Digest::of(b"nothing")).unwrap());
}

#[test]
fn an_index_goes_under_its_digest_and_its_tag() {
    let (_registry, mut client, reference) = open();
    let image = push_image(&mut client, &reference, "v1");
    let inner = Blob::of(&image);
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{{"mediaType":"{MANIFEST}","digest":"{}","size":{}}}]}}"#,
        inner.digest, inner.size
    );
    let digest = client.put_manifest(
        &reference.with_digest(Digest::of(index.as_bytes())),
        INDEX,
        index.as_bytes(),
    );
    let answer = client.manifest(&reference.with_digest(digest.unwrap()), None).unwrap();
    assert!(matches!(answer, Answer::Manifest { media_type, .. } if media_type == INDEX));
    let wrong = client.put_manifest(&reference.with_digest(inner.digest), INDEX, index.as_bytes());
    assert_eq!(wrong.unwrap_err().cause(), Some(&Cause::Digest(Digest::of(index.as_bytes()))));
}

#[test]
fn nothing_changed_is_one_small_request() {
    let (_registry, mut client, reference) = open();
    push_image(&mut client, &reference, "v1");
    let Answer::Manifest { known, .. } = client.manifest(&reference, None).unwrap() else {
        panic!()
    };
    let known = postcard::to_allocvec(&known.unwrap()).unwrap();
    let known = postcard::from_bytes(&known).unwrap();
    let mut next = self::client(plain(&[reference.host()]));
    assert_eq!(next.manifest(&reference, Some(&known)), Ok(Answer::Unchanged));
    let traffic = next.traffic();
    println!("nothing changed: {traffic:?}");
    assert_eq!(traffic.requests, 1);
    assert!(traffic.sent + traffic.received < 2048, "{traffic:?}");
    push_image(&mut client, &reference, "v2");
    assert!(matches!(next.manifest(&reference, Some(&known)), Ok(Answer::Manifest { .. })));
}

#[test]
fn what_is_known_of_one_tag_is_not_said_of_another() {
    let (_registry, mut client, reference) = open();
    push_image(&mut client, &reference, "v1");
    let Answer::Manifest { known, .. } = client.manifest(&reference, None).unwrap() else {
        panic!()
    };
    let other = reference.with_tag("other").unwrap();
    push_image(&mut client, &other, "v1");
    assert!(matches!(client.manifest(&other, known.as_ref()), Ok(Answer::Manifest { .. })));
}

#[test]
fn ranges_share_a_connection() {
    let (_registry, mut client, reference) = open();
    let bytes = noise(100_000);
    push_blob(&mut client, &reference, &bytes);
    let counter =
        crate::cutter::start(reference.host().to_owned(), crate::cutter::Way::Down, vec![]);
    let near = self::reference(&counter.host(), "os");
    let mut client = self::client(plain(&[&counter.host()]));
    for start in (0..100_000).step_by(9_000) {
        read_range(&mut client, &near, &bytes, start..start + 1000);
    }
    for range in [0..0, 0..1, 99_999..100_000, 100_000..100_000, 0..100_000] {
        read_range(&mut client, &near, &bytes, range);
    }
    assert_eq!(counter.connections(), 1);
    assert_eq!(client.traffic().requests, 12 + 3);
    for (start, end) in [(0, 100_001), (100_001, 100_001), (2, 1)] {
        assert!(client.range(&near, Blob::of(&bytes), start..end).is_err());
    }
}

#[test]
fn large_blobs_go_in_chunks() {
    let (_registry, client, reference) = open();
    drop(client);
    let limits = Limits { chunk: 64 << 10, ..quick() };
    let mut client = self::client(Settings { limits, ..plain(&[reference.host()]) });
    let bytes = noise(300_000);
    let seen = push_blob(&mut client, &reference, &bytes);
    assert_eq!(seen, [65_536, 131_072, 196_608, 262_144, 300_000]);
    assert_eq!(client.blob(&reference, Blob::of(&bytes)).unwrap(), bytes);
    // It is there now.
    let before = client.traffic().requests;
    assert_eq!(push_blob(&mut client, &reference, &bytes), [300_000]);
    assert_eq!(client.traffic().requests - before, 1);
    push_blob(&mut client, &reference, b"");
}

#[test]
fn data_that_ends_early_is_not_pushed() {
    let (_registry, mut client, reference) = open();
    for size in [10, 20 << 20] {
        let blob = Blob { size, ..Blob::of(b"longer") };
        let error =
            client.upload(&reference, blob, &mut Cursor::new(b"short"), &mut |_| {}).unwrap_err();
        assert!(matches!(error.cause(), Some(Cause::Source(_))), "{error}");
    }
}

#[test]
fn what_is_missing_is_said_to_be() {
    let (_registry, mut client, reference) = open();
    let error = client.manifest(&reference, None).unwrap_err();
    assert!(error.is_missing() && !error.is_transient());
    let text = format!(
        "cannot fetch tag stable of {}/os: status 404: MANIFEST_UNKNOWN manifest unknown",
        reference.host()
    );
    assert_eq!(error.to_string(), text);
    assert!(client.blob(&reference, Blob::of(b"nothing")).unwrap_err().is_missing());
    let nameless = client.manifest(&reference.without_name(), None).unwrap_err();
    assert!(matches!(nameless, Error::Reference { .. }));
}

/// A root and a certificate for 127.0.0.1 with its key, all PEM.
pub(crate) fn certificates() -> (String, String, String) {
    let root_key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::new(vec![]).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_pem = root.self_signed(&root_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &Issuer::new(root, root_key)).unwrap();
    (root_pem, certificate.pem(), key.serialize_pem())
}

#[test]
fn tls_needs_a_root_that_is_trusted() {
    let (root, certificate, key) = certificates();
    let registry = Registry::start_with(&Door::Open, Some((&certificate, &key)));
    let reference = reference(&registry.host(), "os:stable");
    let (other, _, _) = certificates();
    let try_with = |roots: Vec<u8>| {
        let mut client = client(Settings { roots, limits: quick(), ..Settings::default() });
        client.manifest(&reference, None).unwrap_err()
    };
    for roots in [vec![], other.clone().into_bytes()] {
        let error = try_with(roots);
        assert!(matches!(error.cause(), Some(Cause::Tls(_))) && !error.is_transient(), "{error}");
    }
    assert!(try_with([other, root.clone()].concat().into_bytes()).is_missing());
    let settings = Settings { roots: root.into_bytes(), limits: quick(), ..Settings::default() };
    let mut client = client(settings);
    let pushed = push_image(&mut client, &reference, "v1");
    assert!(
        matches!(client.manifest(&reference, None), Ok(Answer::Manifest { bytes, .. }) if bytes == pushed)
    );
    let Answer::Manifest { known, .. } = client.manifest(&reference, None).unwrap() else {
        panic!()
    };
    let before = client.traffic();
    assert_eq!(client.manifest(&reference, known.as_ref()), Ok(Answer::Unchanged));
    let after = client.traffic();
    println!(
        "nothing changed, TLS: {} bytes",
        after.sent + after.received - before.sent - before.received
    );
}

#[test]
fn roots_that_are_none_are_refused() {
    let (_, _, key) = certificates();
    for roots in [
        key.into_bytes(),
        b"what".to_vec(),
        b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n".to_vec(),
    ] {
        assert!(Client::new(Settings { roots, ..Settings::default() }).is_err());
    }
}
