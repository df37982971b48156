//! The bytes of the formats, frozen: docs/formats/seal.md describes them, and machines in the field
//! read them. A change here is a new format with a new first byte, never an edit.

mod support;

use pintle_verify::{KeySet, Unverified};
use support::{ANYTHING, full_seal, key_set, keys};

/// The full seal of the tests, signed by keys 1 and 2, field by field.
const SEAL: &[(&str, &str)] = &[
    ("01", "format 1"),
    ("e201", "the statement is 226 bytes"),
    ("056b696f736b", "image id: 5 bytes, kiosk"),
    ("00", "architecture: amd64"),
    ("05312e342e30", "version: 5 bytes, 1.4.0"),
    ("2a", "sequence: 42"),
    ("07", "floor: 7"),
    ("80c3bbc206", "created: 1750000000"),
    ("01", "best before: some"),
    ("80f09dc706", "best before: 1760000000"),
    ("19", "rollout: 25 %"),
    ("8040", "image size: 8192"),
    ("8d305c73ba8b3d77cbd32546cc9f5bf01110635ad5d3956285c8b69d29f2c3ad", "salt"),
    ("4813494d137e1631bba301d5acab6e7bb7aa74ce1185d456565ef51d737677b2", "root hash"),
    ("01", "source: some"),
    ("41cf6794ba4200b839c53531555f0f3998df4cbb01a4d5cb0b94e3ca5e23947d", "source"),
    ("01", "kernel: some"),
    ("6923dd1bc0460082c5d55a831908c24a282860b7f1cd6c2b79cf1bc8857c639c", "kernel"),
    ("01", "next keys: some"),
    ("02", "threshold: 2"),
    ("02", "2 keys"),
    ("ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1", "a key"),
    ("ca93ac1705187071d67b83c7ff0efe8108e8ec4530575d7726879333dbdabe7c", "a key"),
    ("02", "2 signatures"),
    ("34750f98bd59fcfc", "key id"),
    ("e36a04f5a45d1030283a2e085f0d1fd66953e47f6382246df320d4ad2292e099", "signature"),
    ("f80919abcb29ec37ee6902565f597d70f17dfb4a5c6436c250573555f4ed9e05", "signature, continued"),
    ("6a3803d5f059902a", "key id"),
    ("807d4c5c2b3a3d58a98eced939bcdcbb9a3c1b81aebfbe86a12bb34ccf651f93", "signature"),
    ("2b2a449973c12e317124b4f7cd50084bacae8430738f2c9007193dac700ce20b", "signature, continued"),
];

/// The key set {3, 4}, threshold 2.
const KEY_SET: &[(&str, &str)] = &[
    ("01", "format 1"),
    ("02", "threshold: 2"),
    ("02", "2 keys"),
    ("ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1", "a key"),
    ("ca93ac1705187071d67b83c7ff0efe8108e8ec4530575d7726879333dbdabe7c", "a key"),
];

#[test]
fn seal_has_the_golden_bytes() {
    let file = full_seal().sign(&keys(&[1, 2])).unwrap();
    assert_eq!(dump(&file), joined(SEAL));
}

#[test]
fn golden_seal_is_still_believed() {
    let verified = key_set(&[1, 2], 2).verify(Unverified(&bytes(SEAL)), &ANYTHING).unwrap();
    assert_eq!(*verified, full_seal());
}

#[test]
fn key_set_has_the_golden_bytes() {
    assert_eq!(dump(&key_set(&[3, 4], 2).to_bytes()), joined(KEY_SET));
    assert_eq!(KeySet::from_bytes(&bytes(KEY_SET)).unwrap(), key_set(&[3, 4], 2));
}

fn joined(fields: &[(&str, &str)]) -> String {
    fields.iter().map(|(hex, _)| *hex).collect()
}

fn dump(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(fields: &[(&str, &str)]) -> Vec<u8> {
    let hex = joined(fields);
    let (pairs, _) = hex.as_bytes().as_chunks::<2>();
    pairs
        .iter()
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
