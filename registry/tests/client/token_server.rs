//! A token server that docker-registry believes: it signs JWTs as the distribution project describes
//! (<https://distribution.github.io/distribution/spec/auth/jwt/>).

use std::io::Read;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, KeyPair};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::json;

use crate::server::{Peer, Server, answer};

/// What a signature needs.
pub(crate) struct Signer {
    key: EcdsaKeyPair,
    der: Vec<u8>,
    /// For the registry.
    pub(crate) pem: String,
}

impl Signer {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![]).unwrap().self_signed(&key).unwrap();
        let random = SystemRandom::new();
        let signing = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            key.serialized_der(),
            &random,
        );
        Self { key: signing.unwrap(), der: certificate.der().to_vec(), pem: certificate.pem() }
    }

    fn token(&self, scope: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let parts: Vec<_> = scope.split(':').collect();
        let [kind, name, actions] = parts[..] else { panic!("{scope}") };
        let actions: Vec<_> = actions.split(',').collect();
        let header = json!({"typ": "JWT", "alg": "ES256", "x5c": [STANDARD.encode(&self.der)]});
        let claims = json!({
            "iss": "test", "sub": "", "aud": "the registry", "jti": "1",
            "nbf": now - 10, "iat": now - 10, "exp": now + 300,
            "access": [{"type": kind, "name": name, "actions": actions}],
        });
        let [header, claims] =
            [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Gives tokens, that are said to live for `lives` seconds, to alice, by her password or by the identity
/// token `identity`.
pub(crate) fn start(signer: Signer, lives: u64) -> Server {
    Server::start(move |mut peer: Peer| {
        while let Some(head) = peer.request() {
            let form = body(&mut peer, &head);
            let password = head.contains("authorization: Basic YWxpY2U6c2VjOnJldA==");
            let known = password || form.contains("refresh_token=identity&");
            let reply = match known {
                true => {
                    let token = signer.token(&scope(&format!("{head}&{form}")));
                    let body = json!({"token": token, "expires_in": lives}).to_string();
                    answer("200 OK", "Content-Type: application/json\r\n", &body)
                }
                false => answer(
                    "401 Unauthorized",
                    "",
                    r#"{"errors":[{"code":"UNAUTHORIZED","message":"who?"}]}"#,
                ),
            };
            if !peer.say(reply) {
                return;
            }
        }
    })
}

fn body(peer: &mut Peer, head: &str) -> String {
    let length = head
        .split("content-length: ")
        .nth(1)
        .and_then(|rest| rest.split('\r').next()?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    peer.stream.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

fn scope(text: &str) -> String {
    let rest = text.split("scope=").nth(1).unwrap();
    rest.split([' ', '&', '\r']).next().unwrap().to_owned()
}
