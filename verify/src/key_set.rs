use serde::{Deserialize, Serialize};

use crate::{Error, KeyId, PublicKey, canonical};

/// The first byte of an encoded key set.
const FORMAT: u8 = 1;

/// A few people and a few machines sign; a set that a person cannot read through is not a policy.
const MAX_KEYS: usize = 16;

/// More signatures than a seal carries could never be asked for.
const MAX_THRESHOLD: u8 = 4;

/// The format's byte, the threshold, the count, and the keys.
const MAX_LEN: usize = 3 + 32 * MAX_KEYS;

/// The public keys that a machine trusts, 1 to 16, and how many of them must have signed a seal, 1
/// to 4.
///
/// Holding one tells you that its keys are distinct, not weak, and enough for the threshold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct KeySet {
    threshold: u8,
    keys: Vec<PublicKey>,
}

impl KeySet {
    /// Any `threshold` of `keys` must have signed.
    pub fn new(mut keys: Vec<PublicKey>, threshold: u8) -> Result<Self, Error> {
        keys.sort_by_key(PublicKey::id);
        Wire { threshold, keys }.try_into()
    }

    /// The keys, in the order of their ids.
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// How many distinct keys must have signed.
    pub fn threshold(&self) -> u8 {
        self.threshold
    }

    /// The key with this id.
    pub fn key(&self, id: KeyId) -> Option<&PublicKey> {
        self.keys.iter().find(|key| key.id() == id)
    }

    /// Encodes the set, for the initramfs. Equal sets have equal bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let keys = self.keys.iter().flat_map(PublicKey::as_bytes);
        // A threshold of at most 4 and a count of at most 16 are one byte each in postcard.
        [FORMAT, self.threshold, self.keys.len() as u8].into_iter().chain(keys.copied()).collect()
    }

    /// Decodes what [`to_bytes`](Self::to_bytes) wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_LEN {
            return Err(Error::KeySet("it is too long"));
        }
        match bytes {
            [FORMAT, body @ ..] => canonical::decode(body).ok_or(Error::KeySet("malformed")),
            [_, ..] => Err(Error::KeySet("its format is unknown")),
            [] => Err(Error::KeySet("it is empty")),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Wire {
    threshold: u8,
    keys: Vec<PublicKey>,
}

impl TryFrom<Wire> for KeySet {
    type Error = Error;

    fn try_from(Wire { threshold, keys }: Wire) -> Result<Self, Error> {
        if !(1..=MAX_KEYS).contains(&keys.len()) {
            return Err(Error::KeySet("expected 1 to 16 keys"));
        }
        if !(1..=MAX_THRESHOLD).contains(&threshold) || usize::from(threshold) > keys.len() {
            return Err(Error::KeySet(
                "expected a threshold from 1 to 4 and to the number of keys",
            ));
        }
        if !keys.is_sorted_by(|a, b| a.id() < b.id()) {
            return Err(Error::KeySet("a key occurs twice, or they are not ordered by id"));
        }
        Ok(Self { threshold, keys })
    }
}

impl From<KeySet> for Wire {
    fn from(KeySet { threshold, keys }: KeySet) -> Self {
        Self { threshold, keys }
    }
}
