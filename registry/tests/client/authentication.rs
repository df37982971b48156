//! Who is let in, by what, and with how many requests.

use pintle_registry::{Answer, Cause, Client, Credential, Credentials, Error, Reference, Settings};

use crate::pull_and_push::push_image;
use crate::registry::{Door, Registry};
use crate::server::Server;
use crate::settings::{client, plain, reference};
use crate::token_server::{self, Signer};

const CONFIG: &str = r#"{"auths": {"HOST": {"auth": "YWxpY2U6c2VjOnJldA=="}}}"#;

fn alice(host: &str) -> Settings {
    let credentials =
        Credentials::from_docker_config(CONFIG.replace("HOST", host).as_bytes()).unwrap();
    Settings { credentials, ..plain(&[host]) }
}

fn with(host: &str, credential: Credential) -> Settings {
    let mut credentials = Credentials::default();
    credentials.insert(host, credential);
    Settings { credentials, ..plain(&[host]) }
}

fn mallory(host: &str) -> Settings {
    with(host, Credential::Password { user: "mallory".to_owned(), password: "guess".to_owned() })
}

fn is_unauthorized(settings: Settings, reference: &Reference) {
    let error = client(settings).manifest(reference, None).unwrap_err();
    assert!(matches!(error.cause(), Some(Cause::Unauthorized(_))), "{error}");
    assert!(!error.is_transient());
}

/// How many requests the next check costs, for a client that was given the tokens of this one.
fn next_check(client: &mut Client, reference: &Reference, settings: Settings) -> u64 {
    let Answer::Manifest { known, .. } = client.manifest(reference, None).unwrap() else {
        panic!()
    };
    let tokens = postcard::to_allocvec(client.tokens()).unwrap();
    let mut next =
        Client::new(settings).unwrap().with_tokens(postcard::from_bytes(&tokens).unwrap());
    assert_eq!(next.manifest(reference, known.as_ref()), Ok(Answer::Unchanged));
    let traffic = next.traffic();
    println!("nothing changed, with authentication: {traffic:?}");
    assert!(traffic.requests > 1 || traffic.sent + traffic.received < 2048, "{traffic:?}");
    traffic.requests
}

#[test]
fn a_password_lets_in() {
    let registry = Registry::start(&Door::Password);
    let reference = reference(&registry.host(), "os:stable");
    is_unauthorized(plain(&[&registry.host()]), &reference);
    is_unauthorized(mallory(&registry.host()), &reference);
    let mut client = client(alice(&registry.host()));
    push_image(&mut client, &reference, "v1");
    assert_eq!(next_check(&mut client, &reference, alice(&registry.host())), 1);
}

/// A registry, its token server, and a reference into it.
fn with_tokens(lives: u64) -> (Registry, Server, Reference) {
    let signer = Signer::new();
    let root = signer.pem.clone();
    let tokens = token_server::start(signer, lives);
    let realm = format!("http://{}/token", tokens.host());
    let registry = Registry::start(&Door::Token { realm: &realm, root: &root });
    let reference = reference(&registry.host(), "team/os:stable");
    (registry, tokens, reference)
}

#[test]
fn a_token_lets_in_and_is_kept() {
    let (registry, tokens, reference) = with_tokens(300);
    is_unauthorized(plain(&[&registry.host()]), &reference);
    is_unauthorized(mallory(&registry.host()), &reference);
    let before = tokens.heads().len();
    let mut client = client(alice(&registry.host()));
    push_image(&mut client, &reference, "v1");
    assert_eq!(tokens.heads().len() - before, 1, "one token for all of a push");
    assert!(tokens.heads().last().unwrap().starts_with(
        "GET /token?service=the%20registry&scope=repository:team/os:pull,push HTTP/1.1\r\n"
    ));
    assert_eq!(next_check(&mut client, &reference, alice(&registry.host())), 1);
    assert!(tokens.heads().last().unwrap().contains("scope=repository:team/os:pull "));
}

#[test]
fn an_expired_token_is_not_shown() {
    let (registry, _tokens, reference) = with_tokens(1);
    let mut client = client(alice(&registry.host()));
    push_image(&mut client, &reference, "v1");
    assert_eq!(next_check(&mut client, &reference, alice(&registry.host())), 3);
}

#[test]
fn a_token_that_the_registry_no_longer_likes_is_replaced() {
    let (registry, _tokens, reference) = with_tokens(300);
    let mut client = client(alice(&registry.host()));
    push_image(&mut client, &reference, "v1");
    client.manifest(&reference, None).unwrap();
    let text = serde_json::to_string(client.tokens()).unwrap();
    let broken = text.replace("\"token\":\"e", "\"token\":\"x");
    assert_ne!(text, broken);
    let next = Client::new(alice(&registry.host())).unwrap();
    let mut next = next.with_tokens(serde_json::from_str(&broken).unwrap());
    assert!(next.manifest(&reference, None).is_ok());
    assert_eq!(next.traffic().requests, 3);
}

#[test]
fn an_identity_token_is_exchanged() {
    let (registry, tokens, reference) = with_tokens(300);
    let host = registry.host();
    is_unauthorized(with(&host, Credential::Identity("wrong".to_owned())), &reference);
    let mut client = client(with(&host, Credential::Identity("identity".to_owned())));
    push_image(&mut client, &reference, "v1");
    let head = tokens.heads().pop().unwrap();
    assert!(
        head.starts_with("POST /token HTTP/1.1\r\n") && !head.contains("authorization"),
        "{head}"
    );
}

#[test]
fn what_a_token_is_not_for_is_refused() {
    let (registry, _tokens, reference) = with_tokens(300);
    let error: Error = client(alice(&registry.host())).manifest(&reference, None).unwrap_err();
    assert!(error.is_missing(), "{error}");
    assert!(error.to_string().contains("cannot fetch tag stable of"), "{error}");
}
