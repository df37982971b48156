//! Mirrors and proxies.

use std::io::{self, Write};
use std::net::TcpStream;
use std::thread;

use pintle_registry::{Answer, Cause, Proxy, Settings};

use crate::pull_and_push::{certificates, push_image};
use crate::registry::{Door, Registry};
use crate::server::{Peer, Server, answer};
use crate::settings::{client, plain, quick, reference};

fn mirrored(mirrors: &[&str], host: &str) -> Settings {
    let hosts = mirrors.iter().copied().chain([host]);
    let hosts = hosts.map(|host| host.split('/').next().unwrap_or_default());
    let mirrors = mirrors.iter().map(|mirror| (*mirror).to_owned()).collect();
    Settings { mirrors: [(host.to_owned(), mirrors)].into(), ..plain(&hosts.collect::<Vec<_>>()) }
}

#[test]
fn mirrors_are_asked_first_and_the_registry_at_last() {
    let [registry, mirror] = [(); 2].map(|()| Registry::start(&Door::Open));
    let broken = Server::start(|mut peer: Peer| peer.answer(answer("500 Oh", "", "")));
    let gone = Server::start(drop).host();
    let reference = reference(&registry.host(), "os:stable");
    let settings = mirrored(&[&gone, &broken.host(), &mirror.host()], &registry.host());
    let mut pusher = client(settings.clone());
    let original = push_image(&mut pusher, &reference, "original");
    let pull =
        |settings: &Settings| match client(settings.clone()).manifest(&reference, None).unwrap() {
            Answer::Manifest { bytes, .. } => bytes,
            Answer::Unchanged => panic!(),
        };
    assert_eq!(pull(&settings), original, "the mirror does not have it, and was not pushed to");
    let at_mirror = self::reference(&mirror.host(), "os:stable");
    let copy = push_image(&mut client(plain(&[&mirror.host()])), &at_mirror, "copy");
    assert_eq!(pull(&settings), copy);
    assert_eq!(pull(&mirrored(&[], &registry.host())), original);
    assert!(broken.heads().iter().all(|head| head.starts_with("GET ")), "{:?}", broken.heads());
}

#[test]
fn what_a_mirror_said_is_not_shown_to_the_registry() {
    let [registry, mirror] = [(); 2].map(|()| Registry::start(&Door::Open));
    let reference = reference(&registry.host(), "os:stable");
    let at_mirror = self::reference(&mirror.host(), "os:stable");
    push_image(&mut client(plain(&[&registry.host()])), &reference, "same");
    push_image(&mut client(plain(&[&mirror.host()])), &at_mirror, "same");
    let settings = mirrored(&[&mirror.host()], &registry.host());
    let Answer::Manifest { known, .. } =
        client(settings.clone()).manifest(&reference, None).unwrap()
    else {
        panic!()
    };
    assert_eq!(
        client(settings.clone()).manifest(&reference, known.as_ref()),
        Ok(Answer::Unchanged)
    );
    drop(mirror);
    assert!(matches!(
        client(settings).manifest(&reference, known.as_ref()),
        Ok(Answer::Manifest { .. })
    ));
}

#[test]
fn a_mirror_may_have_the_repository_below_a_path() {
    let registry = Registry::start(&Door::Open);
    let below = format!("{}/copies/all", registry.host());
    let settings = mirrored(&[&below], &registry.host());
    let reference = reference(&registry.host(), "os:stable");
    let original = push_image(&mut client(settings.clone()), &reference, "original");
    let at_mirror = self::reference(&registry.host(), "copies/all/os:stable");
    let copy = push_image(&mut client(plain(&[&registry.host()])), &at_mirror, "copy");
    let Answer::Manifest { bytes, known, .. } =
        client(settings.clone()).manifest(&reference, None).unwrap()
    else {
        panic!()
    };
    assert!(bytes == copy && copy != original);
    // What is known is the mirror's: the registry, on the same host, is not asked whether it has changed.
    let mut direct = client(plain(&[&registry.host()]));
    assert_eq!(push_image(&mut direct, &reference, "copy"), copy);
    let again = direct.manifest(&reference, known.as_ref()).unwrap();
    assert!(matches!(again, Answer::Manifest { bytes, .. } if bytes == copy));
    assert_eq!(client(settings).manifest(&reference, known.as_ref()), Ok(Answer::Unchanged));
}

/// Tunnels to wherever it is asked for, or to `to`.
fn proxy(to: Option<String>) -> Server {
    Server::start(move |mut peer: Peer| {
        let Some(head) = peer.request() else { return };
        let wanted = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap();
        let server = TcpStream::connect(to.as_deref().unwrap_or(wanted)).unwrap();
        peer.say("HTTP/1.1 200 OK\r\n\r\n");
        let (mut up, mut down) = (peer.stream.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || io::copy(&mut up, &mut { server }));
        // Either side may be gone first.
        drop(io::copy(&mut down, &mut peer.stream));
        drop(peer.stream.flush());
    })
}

fn through(proxy: &Server, except: &[&str]) -> Option<Proxy> {
    let except = except.iter().map(|text| (*text).to_owned()).collect();
    Some(Proxy { url: format!("http://alice:secret@{}", proxy.host()), except })
}

#[test]
fn a_proxy_is_gone_through_with_and_without_tls() {
    let (root, certificate, key) = certificates();
    let tls = Registry::start_with(&Door::Open, Some((&certificate, &key)));
    let open = Registry::start(&Door::Open);
    let proxy = proxy(None);
    let settings = Settings {
        roots: root.into_bytes(),
        proxy: through(&proxy, &[]),
        ..plain(&[&open.host()])
    };
    for registry in [&tls, &open] {
        push_image(&mut client(settings.clone()), &reference(&registry.host(), "os:stable"), "v1");
    }
    let heads = proxy.heads();
    assert_eq!(heads.len(), 2, "one connection each");
    assert!(heads[0].starts_with(&format!("CONNECT {} HTTP/1.1\r\n", tls.host())), "{heads:?}");
    assert!(
        heads.iter().all(|head| head.contains("Proxy-Authorization: Basic YWxpY2U6c2VjcmV0\r\n"))
    );
    let direct = Settings { proxy: through(&proxy, &["127.0.0.1"]), ..settings };
    client(direct).manifest(&reference(&open.host(), "os:stable"), None).unwrap();
    assert_eq!(proxy.heads().len(), 2, "the exception went directly");
}

#[test]
fn names_are_the_proxys_matter() {
    let registry = Registry::start(&Door::Open);
    let proxy = proxy(Some(registry.host()));
    let settings = Settings { proxy: through(&proxy, &[]), ..plain(&["registry.example"]) };
    push_image(&mut client(settings), &reference("registry.example", "os:stable"), "v1");
    assert!(proxy.heads()[0].starts_with("CONNECT registry.example:80 HTTP/1.1\r\n"));
}

#[test]
fn a_proxy_that_refuses_is_said_to() {
    let proxy = Server::start(|mut peer: Peer| peer.once(answer("407 Who", "", "")));
    let settings = Settings { proxy: through(&proxy, &[]), limits: quick(), ..Settings::default() };
    let error =
        client(settings).manifest(&reference("registry.example", "os:stable"), None).unwrap_err();
    assert!(matches!(error.cause(), Some(Cause::Connect(text)) if text.contains("407")), "{error}");
}
