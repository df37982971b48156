use std::fmt;

use serde::{Deserialize, Serialize};

use crate::hex::{self, Bytes};
use crate::{Digest, ImageId};

/// What a verity tree mixes into each hash: 32 bytes of its own, then 32 zero bytes.
///
/// fs-verity takes at most 32 bytes and pads them with zeros to a block of the hash; dm-verity
/// takes what it is given. So with this form both hash the same bytes, and have the same tree.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Bytes<32>", into = "Bytes<32>")]
pub struct Salt([[u8; 32]; 2]);

impl Salt {
    /// The salt of an image: equal blocks of two releases of the same image have equal hashes.
    pub fn of_image_id(id: &ImageId) -> Self {
        let own = Digest::of(&[b"pintle salt v1\0", id.as_str().as_bytes()].concat());
        Self::from_own(*own.as_bytes())
    }

    /// All 64 bytes, as dm-verity takes them.
    pub const fn as_bytes(&self) -> &[u8] {
        self.0.as_flattened()
    }

    /// The first 32 bytes, as fs-verity takes them.
    pub const fn fsverity(&self) -> [u8; 32] {
        let [own, _] = self.0;
        own
    }

    /// All 64 bytes as 128 hexadecimal digits, as dm-verity's table wants them.
    pub fn hex(&self) -> String {
        hex::encode(self.as_bytes())
    }

    /// Pads the 32 bytes that fs-verity takes.
    pub const fn from_own(own: [u8; 32]) -> Self {
        Self([own, [0; 32]])
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl From<Bytes<32>> for Salt {
    fn from(own: Bytes<32>) -> Self {
        Self::from_own(own.0)
    }
}

impl From<Salt> for Bytes<32> {
    fn from(salt: Salt) -> Self {
        Self(salt.fsverity())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn salt_is_a_function_of_the_image_id() {
        let salt = |id: &str| Salt::of_image_id(&id.parse().unwrap());
        assert_eq!(salt("kiosk"), salt("kiosk"));
        assert_ne!(salt("kiosk"), salt("kiosk2"));
        // printf 'pintle salt v1\0kiosk' | sha256sum
        let own = "8d305c73ba8b3d77cbd32546cc9f5bf01110635ad5d3956285c8b69d29f2c3ad";
        assert_eq!(salt("kiosk").hex(), format!("{own}{:064}", 0));
    }
}
