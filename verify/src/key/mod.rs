#[cfg(test)]
mod speccheck;
#[cfg(test)]
mod wycheproof;

use std::fmt;

use ed25519_dalek::Signer;
use ed25519_dalek::pkcs8::spki::der::{pem::LineEnding, zeroize::Zeroizing};
use ed25519_dalek::pkcs8::{
    DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, KeypairBytes,
    PublicKeyBytes,
};
use serde::{Deserialize, Serialize};

use crate::hex::{self, Bytes};
use crate::{Digest, Error, Weakness};

/// A key in PEM is 119 to 200 bytes; the rest is room for the text that tools write before it.
const MAX_PEM_LEN: usize = 4096;

/// An Ed25519 signature's two halves, R and S.
pub(crate) type Signature = ([u8; 32], [u8; 32]);

/// An Ed25519 public key that is worth enrolling: on the curve, canonically encoded, not of small
/// order.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Bytes<32>", into = "Bytes<32>")]
pub struct PublicKey(ed25519_dalek::VerifyingKey);

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo in PEM, as `openssl pkey -pubout` writes it.
    pub fn from_pem(pem: &str) -> Result<Self, Error> {
        let key = PublicKeyBytes::from_public_key_pem(bounded("public key", pem)?);
        key.map_err(|cause| bad_pem("public key", cause))?.to_bytes().try_into()
    }

    /// Writes a SubjectPublicKeyInfo in PEM, as openssl reads it.
    pub fn to_pem(&self) -> Result<String, Error> {
        self.0.to_public_key_pem(LineEnding::LF).map_err(|cause| bad_pem("public key", cause))
    }

    /// The 32 bytes of the key.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The short name by which a signature says whose it is.
    pub fn id(&self) -> KeyId {
        let [a, b, c, d, e, f, g, h, ..] = *Digest::of(self.as_bytes()).as_bytes();
        KeyId([a, b, c, d, e, f, g, h])
    }

    /// Whether `signature` is this key's for `message`, by the strict rules: S reduced, R not of
    /// small order and canonical, no multiplication by the cofactor.
    pub(crate) fn has_signed(&self, message: &[u8], signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_components(signature.0, signature.1);
        self.0.verify_strict(message, &signature).is_ok()
    }
}

impl TryFrom<[u8; 32]> for PublicKey {
    type Error = Error;

    fn try_from(bytes: [u8; 32]) -> Result<Self, Error> {
        let weak = |weakness| Err(Error::WeakKey(weakness));
        let Ok(key) = ed25519_dalek::VerifyingKey::from_bytes(&bytes) else {
            return weak(Weakness::NoPoint);
        };
        if key.is_weak() {
            return weak(Weakness::SmallOrder);
        }
        match key.to_edwards().compress().to_bytes() == bytes {
            true => Ok(Self(key)),
            false => weak(Weakness::NotCanonical),
        }
    }
}

impl TryFrom<Bytes<32>> for PublicKey {
    type Error = Error;

    fn try_from(Bytes(bytes): Bytes<32>) -> Result<Self, Error> {
        bytes.try_into()
    }
}

impl From<PublicKey> for Bytes<32> {
    fn from(key: PublicKey) -> Self {
        Self(key.0.to_bytes())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.as_bytes()))
    }
}

/// The first 8 bytes of the SHA-256 of a public key's 32 bytes.
///
/// Names a key within one [`KeySet`](crate::KeySet), proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "Bytes<8>", into = "Bytes<8>")]
pub struct KeyId([u8; 8]);

impl KeyId {
    /// The 8 bytes.
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl From<Bytes<8>> for KeyId {
    fn from(Bytes(id): Bytes<8>) -> Self {
        Self(id)
    }
}

impl From<KeyId> for Bytes<8> {
    fn from(id: KeyId) -> Self {
        Self(id.0)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An Ed25519 private key. Its bytes are wiped when it is dropped.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// Makes the key of 32 random bytes.
    pub fn generate(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// Reads PKCS#8 in PEM: version 1, as `openssl genpkey` writes it, or version 2, with the
    /// public key (RFC 8410).
    pub fn from_pem(pem: &str) -> Result<Self, Error> {
        ed25519_dalek::SigningKey::from_pkcs8_pem(bounded("private key", pem)?)
            .map(Self)
            .map_err(|cause| bad_pem("private key", cause))
    }

    /// Writes PKCS#8 version 1 in PEM; version 2 is what openssl 3.0 cannot read.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, Error> {
        KeypairBytes { secret_key: self.0.to_bytes(), public_key: None }
            .to_pkcs8_pem(LineEnding::LF)
            .map_err(|cause| bad_pem("private key", cause))
    }

    /// The key that verifies what this one signs.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Signature {
        let signature = self.0.sign(message);
        (*signature.r_bytes(), *signature.s_bytes())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public().id())
    }
}

fn bounded<'a>(what: &'static str, pem: &'a str) -> Result<&'a str, Error> {
    if pem.len() <= MAX_PEM_LEN {
        return Ok(pem);
    }
    Err(bad_pem(what, format_args!("{} bytes, at most {MAX_PEM_LEN}", pem.len())))
}

fn bad_pem(what: &'static str, cause: impl fmt::Display) -> Error {
    Error::Pem { what, cause: cause.to_string() }
}
