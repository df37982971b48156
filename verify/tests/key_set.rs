//! Key sets: what a machine may be given to trust.

mod support;

use pintle_verify::{KeySet, PublicKey, SigningKey};
use support::{key_set, keys};

/// A point of order 2: y = -1.
const SMALL_ORDER: [u8; 32] = {
    let mut bytes = [0xff; 32];
    bytes[0] = 0xec;
    bytes[31] = 0x7f;
    bytes
};

#[test]
fn key_sets_and_back() {
    for set in [key_set(&[1], 1), key_set(&(1..17).collect::<Vec<u8>>(), 4)] {
        assert_eq!(KeySet::from_bytes(&set.to_bytes()), Ok(set));
    }
}

#[test]
fn equal_sets_have_equal_bytes() {
    assert_eq!(key_set(&[1, 2, 3], 2).to_bytes(), key_set(&[3, 1, 2], 2).to_bytes());
}

#[test]
fn a_set_has_1_to_16_distinct_keys_and_a_threshold_that_they_can_reach() {
    let seventeen: Vec<u8> = (1..18).collect();
    for (numbers, threshold) in [
        ([].as_slice(), 1),
        (&seventeen, 1),
        (&[1], 0),
        (&[1], 2),
        (&[1, 2, 3, 4, 5], 5),
        (&[1, 1], 1),
        (&[1, 2, 1], 2),
    ] {
        let public = keys(numbers).iter().map(SigningKey::public).collect();
        assert!(KeySet::new(public, threshold).is_err(), "{threshold} of {numbers:?}");
        assert!(KeySet::from_bytes(&encoded(numbers, threshold)).is_err());
    }
}

#[test]
fn a_weak_key_is_in_no_set() {
    assert!(PublicKey::try_from(SMALL_ORDER).is_err());
    let good = key_set(&[1], 1).to_bytes();
    let weak = [&good[..3], &SMALL_ORDER].concat();
    assert!(KeySet::from_bytes(&weak).is_err());
}

#[test]
fn other_encodings_are_refused() {
    let good = key_set(&[1, 2], 1).to_bytes();
    for length in 0..good.len() {
        assert!(KeySet::from_bytes(&good[..length]).is_err(), "{length} bytes");
    }
    let trailing = [good.as_slice(), &[0]].concat();
    let other_format = [&[2], &good[1..]].concat();
    let longer_count = [&good[..2], &[2 | 0x80, 0], &good[3..]].concat();
    let swapped = [&good[..3], &good[35..67], &good[3..35]].concat();
    let too_long = encoded(&(1..=17).collect::<Vec<u8>>(), 1);
    for bad in [trailing, other_format, longer_count, swapped, too_long] {
        assert!(KeySet::from_bytes(&bad).is_err(), "{bad:02x?}");
    }
}

/// The bytes of a set by the letter of docs/formats/seal.md, with no regard for its rules.
fn encoded(numbers: &[u8], threshold: u8) -> Vec<u8> {
    let mut public: Vec<_> = keys(numbers).iter().map(SigningKey::public).collect();
    public.sort_by_key(PublicKey::id);
    let mut bytes = vec![1, threshold, numbers.len() as u8];
    public.iter().for_each(|key| bytes.extend_from_slice(key.as_bytes()));
    bytes
}
