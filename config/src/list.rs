//! Lists of bounded length.

use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize};

/// At most `MAX` values, in the order in which they were written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UpTo<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> UpTo<T, MAX> {
    /// The values, if they are not too many.
    pub fn new(values: Vec<T>) -> Option<Self> {
        (values.len() <= MAX).then_some(Self(values))
    }
}

impl<T, const MAX: usize> Deref for UpTo<T, MAX> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for UpTo<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::new(Vec::deserialize(from)?)
            .ok_or_else(|| serde::de::Error::custom("list is too long"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_in_bytes_too() {
        assert_eq!(UpTo::<u8, 2>::new(vec![1, 2, 3]), None);
        let two = UpTo::<u8, 2>::new(vec![1, 2]).unwrap();
        assert_eq!(two.first(), Some(&1));
        assert_eq!(postcard::from_bytes(&[2, 1, 2]), Ok(two));
        assert!(postcard::from_bytes::<UpTo<u8, 2>>(&[3, 1, 2, 3]).is_err());
    }
}
