//! What must hold for any bytes that a registry, a name server or a file of settings gives. The fuzz targets
//! (fuzz/fuzz_targets/registry_*.rs) and the tests in mutations.rs run the same functions.

use pintle_registry::dns::{Kind, MAX_ADDRESSES, Question, Reply};
use pintle_registry::{Challenge, ContentRange, Credentials, Names, Reference, Settings};

/// Whether the bytes were taken for what they claim to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted,
    Refused,
}

/// The id of the question that is asked.
pub(crate) const ID: u16 = 0x1234;

/// What is read as a reference is the same one when it is written and read again.
pub(crate) fn a_reference_stays_the_same(bytes: &[u8]) -> Verdict {
    let reference = text(bytes).parse::<Reference>();
    if let Ok(reference) = &reference {
        assert_eq!(reference.to_string().parse::<Reference>().as_ref(), Ok(reference));
    }
    verdict(reference)
}

/// No challenge is longer than its line, and no realm has a control character that a header could be made of.
pub(crate) fn challenges_are_read_or_refused(bytes: &[u8]) -> Verdict {
    let line = text(bytes);
    let challenges = Challenge::parse(&line);
    for challenge in challenges.iter().flatten() {
        if let Challenge::Bearer { realm, service } = challenge {
            assert!(realm.len() + service.as_ref().map_or(0, String::len) <= line.len());
        }
    }
    verdict(challenges)
}

/// A range is not empty, and within its whole.
pub(crate) fn a_content_range_is_within_its_whole(bytes: &[u8]) -> Verdict {
    let range = text(bytes).parse::<ContentRange>();
    if let Ok(ContentRange { first, last, size }) = range {
        assert!(first <= last && size.is_none_or(|size| last < size));
    }
    verdict(range)
}

/// Credentials come from JSON or not at all, and can be used.
pub(crate) fn credentials_are_read_or_refused(bytes: &[u8]) -> Verdict {
    let credentials = Credentials::from_docker_config(bytes);
    if let Ok(credentials) = &credentials {
        let settings = Settings { credentials: credentials.clone(), ..Settings::default() };
        assert_eq!(settings.check(), Ok(()));
    }
    verdict(credentials)
}

/// Whatever is in the machine's files, the names that come of it are within their limits.
pub(crate) fn names_are_bounded(bytes: &[u8]) -> Verdict {
    let names = Names::from_files(bytes, bytes);
    let is_empty = names == Names::from_files(b"", b"");
    assert_eq!(Settings { names, ..Settings::default() }.check(), Ok(()));
    if is_empty { Verdict::Refused } else { Verdict::Accepted }
}

/// Only what answers this question is believed, and it has few addresses.
pub(crate) fn a_reply_is_bounded(bytes: &[u8]) -> Verdict {
    let question = Question::new("registry.example.com", Kind::A).unwrap();
    let reply = question.reply(ID, bytes);
    match &reply {
        Ok(Reply::Addresses(addresses)) => assert!((1..=MAX_ADDRESSES).contains(&addresses.len())),
        // 255 bytes, each of which may be written as a backslash and three digits.
        Ok(Reply::Alias(name)) => assert!(name.len() <= 4 * 255),
        Ok(_) | Err(_) => {}
    }
    if reply.is_ok() {
        assert_eq!(bytes.first_chunk(), Some(&ID.to_be_bytes()));
    }
    verdict(reply)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn verdict<T, E>(result: Result<T, E>) -> Verdict {
    if result.is_ok() { Verdict::Accepted } else { Verdict::Refused }
}
