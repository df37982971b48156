use std::fmt;

use crate::{Digest, ImageId};

/// The UUID of an image's file system and of its tree file: version 8 of RFC 9562, a function of
/// the image id.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Uuid([u8; 16]);

impl Uuid {
    /// The UUID of all images with this id.
    pub fn of_image_id(id: &ImageId) -> Self {
        Self::of_digest(&Digest::of(&[b"pintle uuid v1\0", id.as_str().as_bytes()].concat()))
    }

    /// A UUID of version 8: the digest's first 16 bytes, with version and variant in their places.
    pub fn of_digest(digest: &Digest) -> Self {
        let number =
            digest.as_bytes().iter().take(16).fold(0, |sum, byte| sum << 8 | u128::from(*byte));
        Self((number & !VERSION_AND_VARIANT | VERSION_8_RFC_VARIANT).to_be_bytes())
    }

    /// Takes the 16 bytes of a UUID that was made elsewhere.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes, in the order of the text.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

const VERSION_AND_VARIANT: u128 = 0x0000_0000_0000_f000_c000_0000_0000_0000;
const VERSION_8_RFC_VARIANT: u128 = 0x0000_0000_0000_8000_8000_0000_0000_0000;

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let dash = if matches!(index, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuid_is_version_8_of_the_image_id() {
        let uuid = Uuid::of_image_id(&"kiosk".parse().unwrap());
        assert_eq!(uuid.to_string(), "9d01add5-a6c9-88e1-b9ca-409ff8b39c6a");
    }
}
