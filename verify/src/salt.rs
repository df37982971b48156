use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::hex;
use crate::{Digest, ImageId};

/// Bytes of a salt as dm-verity takes it: one block of SHA-256.
pub(crate) const LEN: usize = 64;

/// What a verity tree mixes into each hash: 32 bytes of its own, then 32 zero bytes.
///
/// fs-verity takes at most 32 bytes and pads them with zeros to a block of the hash; dm-verity
/// takes what it is given. So with this form both hash the same bytes, and have the same tree.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; LEN]);

impl Salt {
    /// The salt of an image: equal blocks of two releases of the same image have equal hashes.
    pub fn of_image_id(id: &ImageId) -> Self {
        let own = Digest::of(&[b"pintle salt v1\0", id.as_str().as_bytes()].concat());
        Self::from_own(own.as_bytes())
    }

    /// All 64 bytes, as dm-verity takes them.
    pub const fn as_bytes(&self) -> &[u8; LEN] {
        &self.0
    }

    /// The first 32 bytes, as fs-verity takes them.
    pub fn fsverity(&self) -> [u8; 32] {
        let mut own = [0; 32];
        own.iter_mut().zip(self.0).for_each(|(to, from)| *to = from);
        own
    }

    /// All 64 bytes as 128 hexadecimal digits, as dm-verity's table wants them.
    pub fn hex(&self) -> String {
        hex(&self.0)
    }

    /// Pads the 32 bytes that fs-verity takes.
    pub fn from_own(own: &[u8; 32]) -> Self {
        let mut padded = [0; LEN];
        padded.iter_mut().zip(own).for_each(|(to, from)| *to = *from);
        Self(padded)
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl Serialize for Salt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&hex(&self.fsverity()))
        } else {
            self.fsverity().serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Salt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <[u8; 32]>::deserialize(deserializer).map(|own| Self::from_own(&own))
    }
}
