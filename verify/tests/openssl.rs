//! Keys and signatures, to and from openssl.

mod support;

use std::fs;
use std::path::Path;

use ed25519_dalek::pkcs8::EncodePrivateKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use pintle_verify::{Error, PublicKey, SigningKey, Weakness};
use support::{full_seal, key, keys, run};
use tempfile::TempDir;

/// The example of RFC 8410, section 10.3: version 2, with an attribute and the public key.
const RFC_8410: &str = "-----BEGIN PRIVATE KEY-----
MHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
oB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrB
Z9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PRIVATE KEY-----
";

#[test]
fn keys_that_openssl_makes_are_read() {
    let dir = TempDir::new().unwrap();
    let private = path(&dir, "key.pem");
    run("openssl", &["genpkey", "-algorithm", "ed25519", "-out", &private]);
    let public = run("openssl", &["pkey", "-in", &private, "-pubout"]);

    let signing = SigningKey::from_pem(&fs::read_to_string(&private).unwrap()).unwrap();
    assert_eq!(signing.public(), PublicKey::from_pem(&public).unwrap());
    assert_eq!(signing.public().to_pem().unwrap(), public);
}

#[test]
fn keys_written_here_are_openssls_own_bytes() {
    let dir = TempDir::new().unwrap();
    let private = write(&dir, "key.pem", key(1).to_pem().unwrap().as_bytes());
    assert_eq!(run("openssl", &["pkey", "-in", &private]), *key(1).to_pem().unwrap());
    let public = run("openssl", &["pkey", "-in", &private, "-pubout"]);
    assert_eq!(public, key(1).public().to_pem().unwrap());
}

#[test]
fn version_2_keys_are_read() {
    let version_2 = ed25519_dalek::SigningKey::from_bytes(&[1; 32]).to_pkcs8_pem(LineEnding::LF);
    let signing = SigningKey::from_pem(&version_2.unwrap()).unwrap();
    assert_eq!(signing.public(), key(1).public());

    let public = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";
    assert_eq!(format!("{:?}", SigningKey::from_pem(RFC_8410).unwrap().public()), public);
}

#[test]
fn openssl_verifies_what_is_signed_here() {
    let dir = TempDir::new().unwrap();
    let file = full_seal().sign(&keys(&[1])).unwrap();
    let (statement, signature) = (&file[3..file.len() - 1 - 8 - 64], &file[file.len() - 64..]);
    let message = write(&dir, "message", &[b"pintle seal v1\0", statement].concat());
    let signature = write(&dir, "signature", signature);
    let public = write(&dir, "key.pem", key(1).public().to_pem().unwrap().as_bytes());
    let arguments = ["-verify", "-rawin", "-pubin", "-inkey", &public, "-in", &message];
    run("openssl", &[&["pkeyutl"], arguments.as_slice(), &["-sigfile", &signature]].concat());
}

#[test]
fn text_around_a_key_and_dos_line_ends_are_read() {
    let pem = key(1).public().to_pem().unwrap();
    let commented = format!("our release key, see the safe\n{pem}");
    let dos = pem.replace('\n', "\r\n");
    for text in [commented, dos, pem.trim_end().to_owned()] {
        assert_eq!(PublicKey::from_pem(&text), Ok(key(1).public()), "{text:?}");
    }
}

#[test]
fn what_is_no_ed25519_key_is_refused_with_a_reason() {
    let dir = TempDir::new().unwrap();
    let rsa = path(&dir, "rsa.pem");
    run(
        "openssl",
        &["genpkey", "-algorithm", "rsa", "-pkeyopt", "rsa_keygen_bits:1024", "-out", &rsa],
    );
    let x25519 = run("openssl", &["genpkey", "-algorithm", "x25519"]);
    let private = write(&dir, "key.pem", key(1).to_pem().unwrap().as_bytes());
    let locked = run("openssl", &["pkcs8", "-topk8", "-in", &private, "-passout", "pass:secret"]);
    let public = key(1).public().to_pem().unwrap();
    let huge = format!("{}\n{}", "#".repeat(4096), *key(1).to_pem().unwrap());
    for text in [&fs::read_to_string(&rsa).unwrap(), &x25519, &locked, &public, &huge, ""] {
        let error = SigningKey::from_pem(text).unwrap_err();
        assert!(error.to_string().starts_with("cannot read private key from PEM: "), "{error}");
    }
    let huge_public = format!("{}\n{public}", "#".repeat(4096));
    let rsa_public = run("openssl", &["pkey", "-in", &rsa, "-pubout"]);
    for text in [&rsa_public, &*key(1).to_pem().unwrap(), &huge_public, ""] {
        let error = PublicKey::from_pem(text).unwrap_err();
        assert!(error.to_string().starts_with("cannot read public key from PEM: "), "{error}");
    }
}

/// SubjectPublicKeyInfo of the point of order 4 with y = 0.
#[test]
fn weak_key_is_refused_at_enrolment() {
    let weak = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
-----END PUBLIC KEY-----
";
    assert_eq!(PublicKey::from_pem(weak), Err(Error::WeakKey(Weakness::SmallOrder)));
}

fn path(dir: &TempDir, name: &str) -> String {
    dir.path().join(name).to_str().unwrap().to_owned()
}

fn write(dir: &TempDir, name: &str, bytes: &[u8]) -> String {
    let path = path(dir, name);
    fs::write(Path::new(&path), bytes).unwrap();
    path
}
