use std::fmt;
use std::ops::Deref;

use crate::seal::Envelope;
use crate::{Architecture, ImageId, KeyId, KeySet, Seal};

/// Bytes that anybody may have written.
#[derive(Debug, Clone, Copy)]
pub struct Unverified<'a>(pub &'a [u8]);

/// A statement that enough trusted keys have signed and that is meant for this machine.
///
/// Only [`KeySet::verify`] makes one:
///
/// ```compile_fail,E0423
/// # use pintle_verify::{Seal, Verified};
/// fn trust_me(seal: Seal) -> Verified<Seal> {
///     Verified(seal)
/// }
/// ```
///
/// ```compile_fail,E0277
/// # use pintle_verify::{Seal, Verified};
/// let seal: Verified<Seal> = serde_json::from_str("{}").unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct Verified<T>(T);

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// What this machine is, to hold a seal against.
#[derive(Debug, Clone)]
pub struct Expect {
    /// The family of images that it runs; `None` where any will do.
    pub image_id: Option<ImageId>,
    /// Its architecture; `None` where any will do (on a build host).
    pub architecture: Option<Architecture>,
    /// The lowest sequence that it may still install or boot.
    pub floor: u64,
}

/// Why a seal is not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// There are no bytes.
    Empty,
    /// More bytes than a seal has; this many.
    TooLong(usize),
    /// The first byte names a format that this program does not know.
    UnknownFormat(u8),
    /// Cut short, followed by something, or not in its one canonical encoding.
    Malformed,
    /// Not one to four signatures, but this many.
    SignatureCount(usize),
    /// A signer occurs twice, or they are not ordered by key id.
    SignatureOrder,
    /// A signature that bears the name of a trusted key and is not that key's.
    BadSignature(KeyId),
    /// Too few trusted keys have signed.
    Threshold {
        /// How many have.
        signed: usize,
        /// How many must.
        needed: u8,
    },
    /// Signed, and yet not possible.
    Inconsistent(&'static str),
    /// Another family of images.
    ImageId(ImageId),
    /// For another kind of machine.
    Architecture(Architecture),
    /// Older than this machine may still run.
    BelowFloor {
        /// The seal's.
        sequence: u64,
        /// The machine's.
        floor: u64,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "seal is empty"),
            Self::TooLong(len) => write!(f, "seal is too long: {len} bytes"),
            Self::UnknownFormat(byte) => write!(f, "seal format is unknown: {byte}"),
            Self::Malformed => write!(f, "seal is malformed"),
            Self::SignatureCount(count) => {
                write!(f, "seal has {count} signatures, expected 1 to 4")
            }
            Self::SignatureOrder => write!(f, "seal's signers are not distinct and in order"),
            Self::BadSignature(key) => write!(f, "seal's signature by key {key} is wrong"),
            Self::Threshold { signed, needed } => {
                write!(f, "seal is signed by {signed} trusted keys, needed {needed}")
            }
            Self::Inconsistent(cause) => write!(f, "seal contradicts itself: {cause}"),
            Self::ImageId(found) => write!(f, "seal is for another image: {found}"),
            Self::Architecture(found) => write!(f, "seal is for another architecture: {found}"),
            Self::BelowFloor { sequence, floor } => {
                write!(f, "seal's sequence {sequence} is below the floor {floor}")
            }
        }
    }
}

impl std::error::Error for Refusal {}

impl KeySet {
    /// Believes a seal, or says why not: the one choke point for every way in.
    ///
    /// Nothing of the statement is decoded before its signatures have been verified. Signatures by
    /// unknown keys are ignored (a release that rotates keys carries both), but one that bears a
    /// trusted key's name must be right.
    pub fn verify(&self, seal: Unverified<'_>, expect: &Expect) -> Result<Verified<Seal>, Refusal> {
        let envelope = Envelope::parse(seal.0)?;
        self.check_signatures(&envelope)?;
        let statement = envelope.statement()?;
        expect.check(&statement)?;
        Ok(Verified(statement))
    }

    fn check_signatures(&self, envelope: &Envelope) -> Result<(), Refusal> {
        let message = envelope.message();
        let mut signed = 0;
        for (signer, signature) in envelope.signatures() {
            let Some(key) = self.key(*signer) else { continue };
            if !key.has_signed(&message, signature) {
                return Err(Refusal::BadSignature(*signer));
            }
            signed += 1;
        }
        // Signers are distinct in an envelope, and so are ids in a key set: `signed` counts
        // distinct keys.
        if signed < usize::from(self.threshold()) {
            return Err(Refusal::Threshold { signed, needed: self.threshold() });
        }
        Ok(())
    }
}

impl Expect {
    fn check(&self, seal: &Seal) -> Result<(), Refusal> {
        if self.image_id.as_ref().is_some_and(|id| *id != seal.image_id) {
            return Err(Refusal::ImageId(seal.image_id.clone()));
        }
        if self.architecture.is_some_and(|architecture| architecture != seal.architecture) {
            return Err(Refusal::Architecture(seal.architecture));
        }
        if seal.sequence < self.floor {
            return Err(Refusal::BelowFloor { sequence: seal.sequence, floor: self.floor });
        }
        Ok(())
    }
}
