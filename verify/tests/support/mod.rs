//! What the tests begin with: keys, a seal, and other people's tools.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::process::Command;

use pintle_verify::{Architecture, Digest, Expect, KeySet, Percent, Salt, Seal, SigningKey};

/// The key made of 32 times `number`.
pub(crate) fn key(number: u8) -> SigningKey {
    SigningKey::generate(&[number; 32])
}

pub(crate) fn keys(numbers: &[u8]) -> Vec<SigningKey> {
    numbers.iter().map(|number| key(*number)).collect()
}

pub(crate) fn key_set(numbers: &[u8], threshold: u8) -> KeySet {
    let keys = keys(numbers).iter().map(SigningKey::public).collect();
    KeySet::new(keys, threshold).unwrap()
}

/// A machine that takes whatever is signed.
pub(crate) const ANYTHING: Expect = Expect { image_id: None, architecture: None, floor: 0 };

/// A seal with nothing in it that can be left out.
pub(crate) fn plain_seal() -> Seal {
    Seal {
        image_id: "kiosk".parse().unwrap(),
        architecture: Architecture::X86_64,
        version: "1.4.0".parse().unwrap(),
        sequence: 42,
        floor: 0,
        created: 1_750_000_000,
        best_before: None,
        rollout: Percent::ALL,
        image_size: 8192,
        salt: Salt::of_image_id(&"kiosk".parse().unwrap()),
        root_hash: Digest::of(b"root"),
        source: None,
        kernel: None,
        next_keys: None,
    }
}

/// A seal with everything in it.
pub(crate) fn full_seal() -> Seal {
    Seal {
        best_before: Some(1_760_000_000),
        floor: 7,
        rollout: 25.try_into().unwrap(),
        source: Some(Digest::of(b"source")),
        kernel: Some(Digest::of(b"kernel")),
        next_keys: Some(key_set(&[3, 4], 2)),
        ..plain_seal()
    }
}

/// Runs a program that the tests need and gives what it printed; missing or failing, it fails the test.
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|cause| panic!("cannot run {program}: {cause}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?} failed: {errors}");
    String::from_utf8(output.stdout).unwrap()
}
