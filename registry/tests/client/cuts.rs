//! Connections that are cut, and what goes on where.

use std::io::{self, Read};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pintle_registry::{Blob, Cause, Error, Limits, Settings};

use crate::cutter::{self, Way};
use crate::pull_and_push::{noise, push_blob};
use crate::registry::{Door, Registry};
use crate::server::{Peer, Server, answer};
use crate::settings::{client, plain, quick, reference};

/// What a request and its answer have beside the bytes of a range.
const HEADERS: u64 = 2048;

#[test]
fn a_range_goes_on_where_it_was_cut() {
    let registry = Registry::start(&Door::Open);
    let bytes = noise(2_000_000);
    push_blob(&mut client(plain(&[&registry.host()])), &reference(&registry.host(), "os"), &bytes);
    let cuts: Vec<_> = (0..20).map(|n| 20_000 + n * 6_007 + n * n * 13).collect();
    let number = cuts.len() as u64;
    let cutter = cutter::start(registry.host(), Way::Down, cuts);
    let mut client = client(plain(&[&cutter.host()]));
    let reference = reference(&cutter.host(), "os");
    let mut read = Vec::new();
    let mut range = client.range(&reference, Blob::of(&bytes), 1000..1_900_000).unwrap();
    range.read_to_end(&mut read).unwrap();
    assert!(read == bytes[1000..1_900_000]);
    let traffic = client.traffic();
    println!("{number} cuts: {traffic:?} for {} bytes", read.len());
    assert_eq!(traffic.requests, number + 1);
    assert!(traffic.received <= read.len() as u64 + (number + 1) * HEADERS, "{traffic:?}");
}

#[test]
fn cuts_without_progress_end() {
    let registry = Registry::start(&Door::Open);
    let bytes = noise(100_000);
    push_blob(&mut client(plain(&[&registry.host()])), &reference(&registry.host(), "os"), &bytes);
    // The headers take most of it: each connection brings a few bytes.
    let cutter = cutter::start(registry.host(), Way::Down, vec![1000; 1000]);
    let limits = Limits { tries: 4, ..quick() };
    let mut client = client(Settings { limits, ..plain(&[&cutter.host()]) });
    let reference = reference(&cutter.host(), "os");
    let mut range = client.range(&reference, Blob::of(&bytes), 0..100_000).unwrap();
    let error = range.read_to_end(&mut Vec::new()).unwrap_err();
    let error = Error::of_io(&error).unwrap();
    assert!(matches!(error.cause(), Some(Cause::Cut(_))) && error.is_transient(), "{error}");
    assert_eq!(client.traffic().requests, 4);
}

#[test]
fn a_reset_ends_no_body() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.oci.image.index.v1+json\r\n\r\n";
    let server = Server::start(move |peer: Peer| peer.reset(&format!("{head}{{}}")));
    let settings = Settings { limits: quick(), ..plain(&[&server.host()]) };
    let error =
        client(settings).manifest(&reference(&server.host(), "os:stable"), None).unwrap_err();
    assert!(matches!(error.cause(), Some(Cause::Cut(_))) && error.is_transient(), "{error}");
}

#[test]
fn all_that_a_client_does_has_one_limit_of_time() {
    let silent = Server::start(|mut peer: Peer| peer.stall());
    for total in [0, 50].map(Duration::from_millis) {
        let limits = Limits { total: Some(total), tries: 1_000_000, ..quick() };
        let mut client = client(Settings { limits, ..plain(&[&silent.host()]) });
        let error = client.blob(&reference(&silent.host(), "os"), Blob::of(b"")).unwrap_err();
        assert!(matches!(error.cause(), Some(Cause::Timeout(_))), "{error}");
        assert_eq!(client.traffic().requests, u64::from(!total.is_zero()));
    }
}

#[test]
fn small_requests_are_made_again() {
    let registry = Registry::start(&Door::Open);
    let bytes = noise(1000);
    push_blob(&mut client(plain(&[&registry.host()])), &reference(&registry.host(), "os"), &bytes);
    let cutter = cutter::start(registry.host(), Way::Down, vec![0, 10, 300, 900]);
    let mut client = client(plain(&[&cutter.host()]));
    assert_eq!(client.blob(&reference(&cutter.host(), "os"), Blob::of(&bytes)).unwrap(), bytes);
    assert_eq!(client.traffic().requests, 5);
}

#[test]
fn an_upload_survives_cuts() {
    let registry = Registry::start(&Door::Open);
    let bytes = noise(1_000_000);
    let cutter = cutter::start(registry.host(), Way::Up, vec![150_000, 150_000, 700_000, 90_000]);
    let limits = Limits { chunk: 400_000, ..quick() };
    let mut pusher = client(Settings { limits, ..plain(&[&cutter.host()]) });
    let seen = push_blob(&mut pusher, &reference(&cutter.host(), "os"), &bytes);
    println!("upload in pieces: {seen:?}, {:?}", pusher.traffic());
    let mut puller = client(plain(&[&registry.host()]));
    assert!(puller.blob(&reference(&registry.host(), "os"), Blob::of(&bytes)).unwrap() == bytes);
}

/// A registry that keeps one upload, and of it what it got, as the distribution specification says.
/// (Distribution 2.8 gives up an upload whose last chunk was cut.)
fn keeper(held: Arc<Mutex<Vec<u8>>>) -> Server {
    Server::start(move |mut peer: Peer| {
        while let Some(head) = peer.request() {
            let reply = keep(&mut peer, &head, &held);
            if !peer.say(reply) {
                return;
            }
        }
    })
}

fn keep(peer: &mut Peer, head: &str, held: &Mutex<Vec<u8>>) -> String {
    let place =
        |held: &[u8]| format!("Location: /upload\r\nRange: 0-{}\r\n", held.len().saturating_sub(1));
    match head.split(' ').next().unwrap() {
        "HEAD" => "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "POST" => {
            held.lock().unwrap().clear();
            answer("202 Yes", &place(&[]), "")
        }
        "GET" => format!("HTTP/1.1 204 Here\r\n{}\r\n", place(&held.lock().unwrap())),
        "PATCH" => {
            let length: usize = value(head, "content-length").parse().unwrap();
            let mut held = held.lock().unwrap();
            let first: usize =
                value(head, "content-range").split('-').next().unwrap().parse().unwrap();
            assert_eq!(first, held.len(), "a chunk in its place");
            let read = io::copy(&mut (&mut peer.stream).take(length as u64), &mut *held);
            // A cut leaves what came before.
            drop(read);
            answer("202 Yes", &place(&held), "")
        }
        _ => answer("201 Done", "", ""),
    }
}

fn value<'h>(head: &'h str, name: &str) -> &'h str {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.into_iter().find(|(each, _)| *each == name).unwrap().1
}

#[test]
fn an_upload_goes_on_where_it_was_cut() {
    let held = Arc::new(Mutex::new(vec![]));
    let keeper = keeper(Arc::clone(&held));
    let bytes = noise(1_000_000);
    let cutter = cutter::start(keeper.host(), Way::Up, vec![150_000, 150_000, 150_000, 700_000]);
    let limits = Limits { chunk: 400_000, ..quick() };
    let mut pusher = client(Settings { limits, ..plain(&[&cutter.host()]) });
    let seen = push_blob(&mut pusher, &reference(&cutter.host(), "os"), &bytes);
    assert!(*held.lock().unwrap() == bytes);
    assert!(seen.is_sorted() && seen.last() == Some(&1_000_000), "{seen:?}");
    let begun = keeper.heads().iter().filter(|head| head.starts_with("POST ")).count();
    assert_eq!(begun, 1, "one upload, {seen:?}");
}

#[test]
fn a_registry_without_chunks_gets_the_whole() {
    let whole = Server::start(|mut peer: Peer| {
        while let Some(head) = peer.request() {
            let reply = match head.split(' ').next().unwrap() {
                "HEAD" => "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n".to_owned(),
                "POST" => answer("202 Yes", "Location: /upload?a=b\r\n", ""),
                method => {
                    let length: u64 = value(&head, "content-length").parse().unwrap();
                    io::copy(&mut (&mut peer.stream).take(length), &mut io::sink()).unwrap();
                    answer(if method == "PUT" { "201 Done" } else { "405 No" }, "", "")
                }
            };
            peer.say(reply);
        }
    });
    let limits = Limits { chunk: 10_000, ..quick() };
    let mut pusher = client(Settings { limits, ..plain(&[&whole.host()]) });
    let bytes = noise(100_000);
    push_blob(&mut pusher, &reference(&whole.host(), "os"), &bytes);
    let heads = whole.heads();
    let methods: Vec<_> = heads.iter().map(|head| head.split(' ').next().unwrap()).collect();
    assert_eq!(methods, ["HEAD", "POST", "PATCH", "POST", "PUT"]);
    let target = format!("PUT /upload?a=b&digest={} HTTP", Blob::of(&bytes).digest);
    assert!(heads[4].starts_with(&target), "{}", heads[4]);
}
