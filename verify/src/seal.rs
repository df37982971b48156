use serde::{Deserialize, Serialize};

use crate::key::Signature;
use crate::verity::Geometry;
use crate::{
    Architecture, Digest, Error, ImageId, KeyId, KeySet, Percent, Refusal, Salt, SigningKey,
    Version, canonical,
};

/// The first byte of a seal file.
const FORMAT: u8 = 1;

/// A seal is read whole before anything about it is known; no real one comes near a block.
const MAX_LEN: usize = 4096;

/// As many as the highest threshold of a key set.
const MAX_SIGNATURES: usize = 4;

/// Keeps a signature over a seal from being one over anything else, or over another format of seal.
const DOMAIN: &[u8] = b"pintle seal v1\0";

/// The statement about an image that is signed.
///
/// A plain `Seal` says what somebody claims; only a [`Verified<Seal>`](crate::Verified) is to be
/// acted on. The order of the fields is the encoding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// Which family of images.
    pub image_id: ImageId,
    /// What machine it runs on.
    pub architecture: Architecture,
    /// Its version, for people; the sequence decides what is newer.
    pub version: Version,
    /// Strictly increasing from release to release.
    pub sequence: u64,
    /// The lowest sequence that a machine that has blessed this image may still install or boot.
    /// Not above `sequence`.
    pub floor: u64,
    /// When the seal was made, in seconds since 1970.
    pub created: u64,
    /// Until when it may be installed, in seconds since 1970.
    pub best_before: Option<u64>,
    /// The share of machines that install it by themselves.
    pub rollout: Percent,
    /// Bytes of `root.img`, a multiple of 4096, at least 4096.
    pub image_size: u64,
    /// The salt of the tree.
    pub salt: Salt,
    /// The root hash of the tree.
    pub root_hash: Digest,
    /// The OCI manifest that the image was built from.
    pub source: Option<Digest>,
    /// The kernel that belongs to the image.
    pub kernel: Option<Digest>,
    /// The key set that a machine uses instead of its own once it has blessed this image.
    pub next_keys: Option<KeySet>,
}

impl Seal {
    /// Writes the seal file: the format's byte, the encoded statement, and a signature by each of
    /// `keys`.
    ///
    /// Refuses what [`KeySet::verify`] would: no key, more than four, a key twice, numbers that
    /// contradict each other.
    pub fn sign(&self, keys: &[SigningKey]) -> Result<Vec<u8>, Error> {
        self.check().map_err(Error::Seal)?;
        let body = canonical::encode(self).ok_or(Error::Sign("it has no encoding"))?;
        let mut signatures: Vec<_> = keys.iter().map(|key| sign(&body, key)).collect();
        signatures.sort_by_key(|(signer, _)| *signer);
        let envelope = Envelope { body, signatures };
        envelope.check().map_err(Error::Seal)?;
        envelope.to_bytes()
    }

    /// The numbers that must agree with each other.
    fn check(&self) -> Result<(), Refusal> {
        if Geometry::of_image(self.image_size).is_err() {
            return Err(Refusal::Inconsistent(
                "its image has no whole blocks of 4096 bytes, or too many",
            ));
        }
        if self.floor > self.sequence {
            return Err(Refusal::Inconsistent("its floor is above its own sequence"));
        }
        Ok(())
    }
}

/// Reads a seal file **without verifying anything**, to show it to a person.
pub fn peek(bytes: &[u8]) -> Result<Seal, Refusal> {
    Envelope::parse(bytes)?.statement()
}

/// The keys that a seal file says have signed it, **without verifying anything**.
pub fn signers(bytes: &[u8]) -> Result<Vec<KeyId>, Refusal> {
    let envelope = Envelope::parse(bytes)?;
    Ok(envelope.signatures.into_iter().map(|(signer, _)| signer).collect())
}

/// The SHA-256 of a seal file, to tell files apart.
///
/// It names the file, not the statement: who passes a seal on can add a signature of his own, which
/// harms nothing and makes another file.
pub fn seal_digest(bytes: &[u8]) -> Digest {
    Digest::of(bytes)
}

/// A seal file, taken apart: the encoded statement, and who signed it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Envelope {
    body: Vec<u8>,
    signatures: Vec<(KeyId, Signature)>,
}

impl Envelope {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > MAX_LEN {
            return Err(Refusal::TooLong(bytes.len()));
        }
        let envelope: Self = match bytes {
            [FORMAT, rest @ ..] => canonical::decode(rest).ok_or(Refusal::Malformed)?,
            [other, ..] => return Err(Refusal::UnknownFormat(*other)),
            [] => return Err(Refusal::Empty),
        };
        envelope.check()?;
        Ok(envelope)
    }

    /// Who signed, in the order of the key ids, and the signatures.
    pub(crate) fn signatures(&self) -> &[(KeyId, Signature)] {
        &self.signatures
    }

    /// The bytes that were signed.
    pub(crate) fn message(&self) -> Vec<u8> {
        message(&self.body)
    }

    /// Decodes the statement, whoever signed it.
    pub(crate) fn statement(&self) -> Result<Seal, Refusal> {
        let seal: Seal = canonical::decode(&self.body).ok_or(Refusal::Malformed)?;
        seal.check()?;
        Ok(seal)
    }

    /// One signature a signer, in one order, so that neither can be varied by who merely passes a
    /// seal on.
    fn check(&self) -> Result<(), Refusal> {
        if !(1..=MAX_SIGNATURES).contains(&self.signatures.len()) {
            return Err(Refusal::SignatureCount(self.signatures.len()));
        }
        if !self.signatures.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(Refusal::SignatureOrder);
        }
        Ok(())
    }

    fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let rest = canonical::encode(self).ok_or(Error::Sign("it has no encoding"))?;
        let file = [&[FORMAT], rest.as_slice()].concat();
        if file.len() <= MAX_LEN {
            Ok(file)
        } else {
            Err(Error::Seal(Refusal::TooLong(file.len())))
        }
    }
}

fn sign(body: &[u8], key: &SigningKey) -> (KeyId, Signature) {
    (key.public().id(), key.sign(&message(body)))
}

fn message(body: &[u8]) -> Vec<u8> {
    [DOMAIN, body].concat()
}
