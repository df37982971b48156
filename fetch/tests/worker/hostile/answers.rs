//! Answers that are no answers.

use std::thread;
use std::time::Duration;

use pintle_update::worker::Outlook::{self, MayPass, WillNot};

use super::Step::{Delta, Frames, Index, Manifest, Seal, Token, Tree};
use super::Wanted::{Check, Fetch, FetchBlocks, FetchDelta};
use super::most::{
    CHUNKS, DELTA, DOCUMENTS, HEAD, INDEX, LATE_TRIES, Most, RELEASE, TOKEN, TREE, TRIES, UNREAD,
    WORDS,
};
use super::shelf::Talk;
use super::{Answers, Ends, How, Row, Step, Then, Wanted};

const OK: &str = "HTTP/1.1 200 OK\r\n";

pub(super) fn rows() -> Vec<Row> {
    let tables = [connections(), heads(), lengths(), bodies(), statuses(), doors(), blobs()];
    tables.into_iter().flatten().collect()
}

pub(super) fn row(
    name: &'static str,
    (wanted, at): (Wanted, Step),
    answers: Answers,
    (reason, outlook): (&'static str, Outlook),
) -> Row {
    let (how, ends) = (How::Answers(at, answers), Ends::For(reason, outlook));
    Row { name, wanted, how, ends, most: Most::until((wanted, at)) }
}

pub(super) fn harmless(name: &'static str, (wanted, at): (Wanted, Step), answers: Answers) -> Row {
    let (how, ends) = (How::Answers(at, answers), Ends::Well);
    Row { name, wanted, how, ends, most: Most::until((wanted, at)) }
}

/// Says this, whole, and closes.
fn says(talk: &mut Talk<'_>, text: &str) -> Then {
    talk.say(text);
    Then::Close
}

fn connections() -> Vec<Row> {
    vec![
        harmless("nothing wrong with a check", (Check, Index), |t| t.answers_right()).asks(3),
        harmless("nothing wrong with a fetch", (Fetch, Tree), |t| t.answers_right())
            .asks(4)
            .takes(RELEASE),
        harmless("nothing wrong with a delta", (FetchDelta, Delta), |t| t.answers_right())
            .takes(DELTA),
        row("silence", (Check, Index), |t| t.stall(), ("timed out", MayPass)).asks(LATE_TRIES),
        row("closes without a word", (Check, Index), |_| Then::Close, ("cut", MayPass)).asks(TRIES),
        row(
            "speaks SSH",
            (Check, Index),
            |t| says(t, "SSH-2.0-OpenSSH_9.2\r\n\r\n"),
            ("not HTTP", WillNot),
        ),
        row(
            "speaks HTTP/0.9",
            (Check, Index),
            |t| says(t, "<html>hello</html>\r\n\r\n"),
            ("not HTTP", WillNot),
        ),
        row(
            "silence within a blob",
            (Fetch, Frames),
            |t| {
                t.say("HTTP/1.1 206 Partial Content\r\n");
                t.stall()
            },
            ("timed out", MayPass),
        )
        .asks(2 + LATE_TRIES),
    ]
}

fn heads() -> Vec<Row> {
    vec![
        row(
            "an endless status",
            (Check, Index),
            |t| t.flood("HTTP/1.1 200 ", "O"),
            ("headers over the limit", WillNot),
        )
        .takes(HEAD + UNREAD),
        row(
            "endless headers",
            (Check, Index),
            |t| t.flood(OK, "X-More: and more\r\n"),
            ("not HTTP", WillNot),
        )
        .takes(HEAD + UNREAD),
        row(
            "one endless header",
            (Check, Index),
            |t| t.flood("HTTP/1.1 200 OK\r\nX-More: ", "m"),
            ("headers over the limit", WillNot),
        )
        .takes(HEAD + UNREAD),
        row(
            "endless interim answers",
            (Check, Index),
            |t| t.flood("", "HTTP/1.1 103 Early Hints\r\n\r\n"),
            ("headers over the limit|more bytes than were asked for", WillNot),
        )
        .takes(CHUNKS + UNREAD),
        row(
            "a head that never ends",
            (Check, Index),
            |t| {
                t.say(OK);
                while t.say("X") {
                    thread::sleep(Duration::from_millis(50));
                }
                Then::Close
            },
            ("timed out", MayPass),
        )
        .asks(LATE_TRIES),
        row(
            "an encoding nobody asked for",
            (Check, Index),
            |t| {
                let right = t.right;
                t.answer("200 OK", "Content-Encoding: gzip\r\n", right)
            },
            ("an encoding that was not asked for", WillNot),
        ),
        row(
            "a transfer encoding nobody asked for",
            (Check, Index),
            |t| {
                t.say(OK);
                says(t, "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")
            },
            ("a transfer encoding that was not asked for", WillNot),
        ),
    ]
}

fn lengths() -> Vec<Row> {
    vec![
        row(
            "a length of exabytes",
            (Check, Index),
            |t| says(t, "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n"),
            ("over the limit", WillNot),
        ),
        row(
            "a negative length",
            (Check, Index),
            |t| says(t, "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
            ("not HTTP", WillNot),
        ),
        row(
            "two lengths",
            (Check, Index),
            |t| says(t, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}    "),
            ("conflicting content-length", WillNot),
        ),
        row(
            "a length and chunks",
            (Check, Index),
            |t| {
                says(
                    t,
                    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
                )
            },
            ("not HTTP", WillNot),
        ),
        row(
            "a body shorter than it says",
            (Check, Index),
            |t| says(t, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{}"),
            ("cut", MayPass),
        )
        .asks(TRIES),
        row(
            "an endless body",
            (Check, Index),
            |t| t.flood("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", " "),
            ("over the limit", WillNot),
        )
        .takes(INDEX + UNREAD),
        row(
            "endless chunks",
            (Check, Index),
            |t| t.flood("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n"),
            ("more bytes than were asked for", WillNot),
        )
        .takes(CHUNKS + UNREAD),
        row(
            "a chunk of exabytes",
            (Check, Index),
            |t| {
                t.flood(
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFF\r\n",
                    " ",
                )
            },
            ("over the limit", WillNot),
        )
        .takes(INDEX + UNREAD),
        row(
            "a chunk with a wrong length",
            (Check, Index),
            |t| says(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
            ("not HTTP", WillNot),
        ),
        row(
            "a seal that is longer than it should be",
            (Check, Seal),
            |t| t.flood("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", "s"),
            ("over the limit", WillNot),
        )
        .takes(DOCUMENTS + UNREAD),
    ]
}

fn bodies() -> Vec<Row> {
    vec![
        row(
            "a body that stalls",
            (Check, Index),
            |t| {
                t.say("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{");
                t.stall()
            },
            ("timed out", MayPass),
        )
        .asks(LATE_TRIES),
        row(
            "a body that trickles",
            (Check, Index),
            |t| {
                t.say("HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n");
                while t.say(" ") {
                    thread::sleep(Duration::from_millis(50));
                }
                Then::Close
            },
            ("timed out", MayPass),
        )
        .asks(LATE_TRIES),
        row(
            "a page for people",
            (Check, Index),
            |t| t.answer_as("text/html", b"<html>"),
            ("a media type that was not asked for", WillNot),
        ),
        row(
            "no media type",
            (Check, Index),
            |t| {
                let right = t.right;
                t.answer("200 OK", "", right)
            },
            ("a media type that was not asked for", WillNot),
        ),
        row(
            "docker's list for an index",
            (Check, Index),
            |t| t.answer_as("application/vnd.docker.distribution.manifest.list.v2+json", b"{}"),
            ("no image index", WillNot),
        ),
        row(
            "a manifest said to be an index",
            (Check, Index),
            |t| {
                let body = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#;
                t.answer_as("application/vnd.oci.image.index.v1+json", body)
            },
            ("a manifest of another media type", WillNot),
        ),
        row(
            "a digest that is not the body's",
            (Check, Index),
            |t| {
                let (right, digest) = (t.right, "0".repeat(64));
                let headers = format!(
                    "Content-Type: {}\r\nDocker-Content-Digest: sha256:{digest}\r\n",
                    t.media_type
                );
                t.answer("200 OK", &headers, right)
            },
            ("the bytes have digest", WillNot),
        ),
        row(
            "another manifest than the index names",
            (Check, Manifest),
            |t| {
                let media_type = t.media_type;
                t.answer_as(media_type, br#"{"schemaVersion":2}"#)
            },
            ("the bytes have digest", WillNot),
        ),
        row(
            "another manifest than the one that was found",
            (Fetch, Manifest),
            |t| {
                let media_type = t.media_type;
                t.answer_as(media_type, br#"{"schemaVersion":2}"#)
            },
            ("the bytes have digest", WillNot),
        ),
        row(
            "another seal than the manifest names",
            (Check, Seal),
            |t| {
                let other = vec![b's'; t.right.len()];
                t.answer("200 OK", "", &other)
            },
            ("the bytes have digest", WillNot),
        ),
    ]
}

fn statuses() -> Vec<Row> {
    vec![
        row(
            "not found",
            (Check, Index),
            |t| t.answer("404 Not Found", "", b""),
            ("status 404", WillNot),
        ),
        row(
            "forbidden, with control characters",
            (Check, Index),
            |t| {
                t.answer(
                    "403 Forbidden",
                    "",
                    b"{\"errors\":[{\"code\":\"DENIED\",\"message\":\"go\\u001b[31m away\\n\"}]}",
                )
            },
            ("DENIED", WillNot),
        ),
        row(
            "an endless reason",
            (Check, Index),
            |t| t.flood("HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n", "no "),
            ("status 403", WillNot),
        )
        .takes(WORDS + UNREAD),
        row(
            "too many requests, for years",
            (Check, Index),
            |t| t.answer("429 Slow Down", "Retry-After: 999999999\r\n", b""),
            ("status 429", MayPass),
        ),
        row(
            "out of order, for no time at all",
            (Check, Index),
            |t| t.answer("503 Later", "Retry-After: soon\r\n", b""),
            ("status 503", MayPass),
        )
        .asks(TRIES),
        row(
            "out of order within a blob",
            (Fetch, Frames),
            |t| t.answer("503 Later", "Retry-After: 3600\r\n", b""),
            ("status 503", MayPass),
        ),
        row(
            "unchanged, though nothing is known",
            (Check, Index),
            |t| says(t, "HTTP/1.1 304 Not Modified\r\n\r\n"),
            ("status 304", WillNot),
        ),
        row(
            "no content",
            (Check, Index),
            |t| says(t, "HTTP/1.1 204 No Content\r\n\r\n"),
            ("status 204", WillNot),
        ),
        row(
            "another protocol",
            (Check, Index),
            |t| says(t, "HTTP/1.1 101 Switching Protocols\r\n\r\n"),
            ("status 101", WillNot),
        ),
        row(
            "a part of an index",
            (Check, Index),
            |t| {
                let right = t.right;
                t.answer("206 Partial Content", "Content-Range: bytes 0-9/10\r\n", &right[..10])
            },
            ("status 206", WillNot),
        ),
        row(
            "a redirect to a file",
            (Check, Index),
            |t| t.answer("302 Found", "Location: file:///etc/shadow\r\n", b""),
            ("redirect refused", WillNot),
        ),
        row(
            "a redirect to another scheme",
            (Check, Index),
            |t| t.answer("302 Found", "Location: gopher://example.com/1\r\n", b""),
            ("redirect refused", WillNot),
        ),
        row(
            "a redirect to nowhere",
            (Check, Index),
            |t| t.answer("307 Elsewhere", "", b""),
            ("redirect refused", WillNot),
        ),
        row(
            "redirects in a circle",
            (Check, Index),
            |t| {
                let path = t.head.split(' ').nth(1).unwrap_or_default().to_owned();
                t.answer("307 Elsewhere", &format!("Location: {path}\r\n"), b"")
            },
            ("redirect refused: more than", WillNot),
        )
        .asks(1 + 5),
        row(
            "a redirect with an endless body",
            (Check, Index),
            |t| {
                t.flood(
                    "HTTP/1.1 302 Found\r\nLocation: file:///\r\nConnection: close\r\n\r\n",
                    "x",
                )
            },
            ("redirect refused", WillNot),
        )
        .takes(UNREAD),
    ]
}

fn doors() -> Vec<Row> {
    vec![
        row(
            "no way in is named",
            (Check, Index),
            |t| t.answer("401 Unauthorized", "", b""),
            ("not authorized", WillNot),
        ),
        row(
            "a realm that is a file",
            (Check, Index),
            |t| t.challenges("file:///etc/shadow"),
            ("not authorized", WillNot),
        ),
        row(
            "a challenge that is none",
            (Check, Index),
            |t| t.answer("401 Unauthorized", "WWW-Authenticate: Bearer realm=\"\\\r\n", b""),
            ("not authorized", WillNot),
        ),
        row(
            "no token is ever good",
            (Check, Index),
            |t| t.wants_a_token(),
            ("not authorized", WillNot),
        )
        .asks(3),
        row(
            "an endless token",
            (Check, Token),
            |t| t.flood("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", "t"),
            ("over the limit", WillNot),
        )
        .takes(TOKEN + UNREAD),
        row(
            "a token that is not JSON",
            (Check, Token),
            |t| t.answer("200 OK", "", b"token"),
            ("answer is not understood", WillNot),
        ),
        row(
            "a token with a header in it",
            (Check, Token),
            |t| t.answer("200 OK", "", br#"{"token":"t\r\nX-Evil: 1"}"#),
            ("no token that can be sent", WillNot),
        ),
    ]
}

/// Answers to a question for a range with bytes that are not it.
fn with(talk: &mut Talk<'_>, change: fn(&mut Vec<u8>)) -> Then {
    let range = talk.range().unwrap_or(0..talk.right.len());
    let mut bytes = talk.right[range.clone()].to_vec();
    change(&mut bytes);
    let place = talk.place(&range);
    talk.answer("206 Partial Content", &place, &bytes)
}

fn blobs() -> Vec<Row> {
    vec![
        row(
            "a tree that is not there",
            (Fetch, Tree),
            |t| t.answer("404 Not Found", "", b""),
            ("status 404", WillNot),
        ),
        row(
            "another tree",
            (Fetch, Tree),
            |t| with(t, |bytes| bytes[5000] ^= 1),
            ("cannot trust hash tree", WillNot),
        ),
        row(
            "another tree from the first byte on",
            (Fetch, Tree),
            |t| with(t, |bytes| bytes[0] ^= 1),
            ("cannot trust hash tree", WillNot),
        ),
        row(
            "a range without its place",
            (Fetch, Tree),
            |t| t.answer("206 Partial Content", "", b"x"),
            ("a range without its place", WillNot),
        ),
        row(
            "another range",
            (Fetch, Tree),
            |t| {
                let place = t.place(&(0..1));
                t.answer("206 Partial Content", &place, b"x")
            },
            ("another range than asked for", WillNot),
        ),
        row(
            "a range of a larger blob",
            (Fetch, Tree),
            |t| {
                let place = t.place(&t.range().unwrap()).replace('/', "/9");
                t.answer("206 Partial Content", &place, b"x")
            },
            ("another range than asked for", WillNot),
        ),
        row(
            "a range that is no range",
            (Fetch, Tree),
            |t| t.answer("206 Partial Content", "Content-Range: bytes 5-2/x\r\n", b"x"),
            ("wrong answer", WillNot),
        ),
        row(
            "a shorter range than it says",
            (Fetch, Tree),
            |t| with(t, |bytes| bytes.truncate(100)),
            ("a body of another length", WillNot),
        ),
        row(
            "more bytes than asked for",
            (Fetch, Tree),
            |t| with(t, |bytes| bytes.push(0)),
            ("a body of another length", WillNot),
        ),
        row(
            "endless bytes for a range",
            (Fetch, Tree),
            |t| {
                let place = t.place(&t.range().unwrap());
                t.flood(
                    &format!("HTTP/1.1 206 Partial Content\r\n{place}Connection: close\r\n\r\n"),
                    "x",
                )
            },
            ("cannot trust hash tree", WillNot),
        )
        .takes(DOCUMENTS + UNREAD),
        row(
            "ranges of ranges",
            (Fetch, Tree),
            |t| {
                t.answer(
                    "206 Partial Content",
                    "Content-Type: multipart/byteranges; boundary=x\r\n",
                    b"--x\r\n",
                )
            },
            ("a range without its place", WillNot),
        ),
        row(
            "no such range",
            (Fetch, Frames),
            |t| t.answer("416 Range Not Satisfiable", "", b""),
            ("status 416", WillNot),
        ),
        row(
            "frames that are none",
            (Fetch, Frames),
            |t| with(t, |bytes| bytes.fill(0x55)),
            ("its seek table is none", WillNot),
        ),
        row(
            "a bit of the seek table",
            (Fetch, Frames),
            |t| {
                with(t, |bytes| {
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= 1;
                })
            },
            ("cannot decode image|wrong bytes", WillNot),
        ),
        row(
            "a bit of a frame",
            (Fetch, Frames),
            |t| {
                with(t, |bytes| {
                    // The seek table is small, and comes before.
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= u8::from(bytes.len() > 100_000);
                })
            },
            ("cannot decode image|cannot trust image", WillNot),
        )
        .asks(4)
        .takes(RELEASE),
        row(
            "a few bytes a connection",
            (Fetch, Frames),
            |t| {
                let place = t.place(&t.range().unwrap());
                let length = t.range().unwrap().len();
                let byte = t.right[t.range().unwrap().start];
                t.say(format!(
                    "HTTP/1.1 206 Partial Content\r\n{place}Content-Length: {length}\r\n\r\n"
                ));
                t.say([byte]);
                Then::Close
            },
            ("cut", MayPass),
        )
        .asks(2 + TRIES),
        harmless("a delta of other bytes", (FetchDelta, Delta), |t| with(t, |bytes| bytes.fill(7)))
            .asks(2 + 4)
            .takes(DELTA + RELEASE),
        harmless("all of a blob for each range", (FetchBlocks, Tree), |t| {
            let right = t.right;
            t.answer("200 OK", "", right)
        })
        .asks(5)
        .takes(RELEASE + TREE),
        harmless("all of a blob for its first range", (Fetch, Tree), |t| {
            let right = t.right;
            t.answer("200 OK", "", right)
        })
        .asks(4)
        .takes(RELEASE),
    ]
}
