//! Seals: who is believed, and who is not.

mod support;

use ed25519_dalek::Signer;
use pintle_verify::{Architecture, Expect, KeyId, KeySet, Refusal, Seal, Unverified, peek};
use support::{ANYTHING, full_seal, key, key_set, keys, plain_seal};

#[test]
fn what_was_signed_is_what_is_believed() {
    for seal in [plain_seal(), full_seal()] {
        let file = seal.sign(&keys(&[1])).unwrap();
        let verified = key_set(&[1], 1).verify(Unverified(&file), &ANYTHING).unwrap();
        assert_eq!(*verified, seal);
        assert_eq!(peek(&file).unwrap(), seal);
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    for (signers, threshold) in [([1].as_slice(), 1), (&[1, 2], 2)] {
        let file = full_seal().sign(&keys(signers)).unwrap();
        let trusted = key_set(signers, threshold);
        for bit in 0..file.len() * 8 {
            let mut flipped = file.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(verify(&trusted, &flipped).is_err(), "bit {bit} of {signers:?}");
        }
    }
}

#[test]
fn every_truncation_and_extension_is_refused() {
    let file = full_seal().sign(&keys(&[1])).unwrap();
    let trusted = key_set(&[1], 1);
    for length in 0..file.len() {
        assert!(verify(&trusted, &file[..length]).is_err(), "{length} bytes");
    }
    for byte in [0, 1, 0xff] {
        assert_eq!(verify(&trusted, &[&file, &[byte][..]].concat()), Err(Refusal::Malformed));
    }
}

#[test]
fn threshold_counts_distinct_trusted_keys() {
    let short = |signed, needed| Err(Refusal::Threshold { signed, needed });
    for (trusted, threshold, signers, outcome) in [
        ([1].as_slice(), 1, [1].as_slice(), Ok(())),
        (&[1, 2], 1, &[2], Ok(())),
        (&[1, 2], 2, &[1, 2], Ok(())),
        (&[1, 2, 3, 4], 4, &[1, 2, 3, 4], Ok(())),
        (&[1, 2, 3], 2, &[3, 1], Ok(())),
        // Signatures by keys that this machine does not know neither count nor harm.
        (&[1], 1, &[8, 1, 9], Ok(())),
        (&[1], 1, &[2], short(0, 1)),
        (&[1, 2], 2, &[1], short(1, 2)),
        (&[1, 2], 2, &[1, 3, 4, 5], short(1, 2)),
        (&[1, 2, 3, 4], 4, &[1, 2, 3], short(3, 4)),
    ] {
        let file = plain_seal().sign(&keys(signers)).unwrap();
        let verdict = verify(&key_set(trusted, threshold), &file);
        assert_eq!(verdict, outcome, "{signers:?} signed, {threshold} of {trusted:?} needed");
    }
}

#[test]
fn one_key_signing_twice_is_one_key_or_none() {
    let body = encoded(&plain_seal());
    let signature = sign(&body, 1);
    let twice = seal_file(&body, &[signature, signature]);
    assert_eq!(verify(&key_set(&[1, 2], 2), &twice), Err(Refusal::SignatureOrder));
    assert_eq!(verify(&key_set(&[1], 1), &twice), Err(Refusal::SignatureOrder));
    assert!(plain_seal().sign(&keys(&[1, 1])).is_err());
}

#[test]
fn signatures_stand_in_the_order_of_their_key_ids() {
    let body = encoded(&plain_seal());
    let [first, second] = in_order([sign(&body, 1), sign(&body, 2)]);
    let trusted = key_set(&[1, 2], 2);
    assert_eq!(verify(&trusted, &seal_file(&body, &[first, second])), Ok(()));
    let swapped = seal_file(&body, &[second, first]);
    assert_eq!(verify(&trusted, &swapped), Err(Refusal::SignatureOrder));
}

#[test]
fn one_to_four_signatures() {
    let body = encoded(&plain_seal());
    assert_eq!(verify(&key_set(&[1], 1), &seal_file(&body, &[])), Err(Refusal::SignatureCount(0)));
    let five = in_order([1, 2, 3, 4, 5].map(|number| sign(&body, number)));
    assert_eq!(
        verify(&key_set(&[1], 1), &seal_file(&body, &five)),
        Err(Refusal::SignatureCount(5))
    );
    assert!(plain_seal().sign(&[]).is_err());
    assert!(plain_seal().sign(&keys(&[1, 2, 3, 4, 5])).is_err());
}

#[test]
fn signature_in_a_trusted_keys_name_must_be_right_even_where_others_suffice() {
    let body = encoded(&plain_seal());
    let forged = (key(2).public().id(), sign(&body, 3).1);
    let file = seal_file(&body, &in_order([sign(&body, 1), forged]));
    let refusal = Refusal::BadSignature(key(2).public().id());
    assert_eq!(verify(&key_set(&[1, 2], 1), &file), Err(refusal));
}

#[test]
fn signature_over_anything_else_is_not_one_over_a_seal() {
    let body = encoded(&plain_seal());
    let refusal = Err(Refusal::BadSignature(key(1).public().id()));
    for domain in [b"".as_slice(), b"pintle seal v1", b"pintle seal v2\0"] {
        let message = [domain, &body].concat();
        let file = seal_file(&body, &[sign_raw(&message, 1)]);
        assert_eq!(verify(&key_set(&[1], 1), &file), refusal, "{domain:?}");
    }
}

#[test]
fn other_formats_lengths_and_encodings_are_refused() {
    let trusted = key_set(&[1], 1);
    let file = plain_seal().sign(&keys(&[1])).unwrap();
    let other_format = [&[2], &file[1..]].concat();
    assert!(file[1] < 128, "the length is one byte");
    let longer_length = [&file[..1], &[file[1] | 0x80, 0], &file[2..]].concat();
    assert_eq!(verify(&trusted, &[]), Err(Refusal::Empty));
    assert_eq!(verify(&trusted, &[0; 4097]), Err(Refusal::TooLong(4097)));
    assert_eq!(verify(&trusted, &other_format), Err(Refusal::UnknownFormat(2)));
    assert_eq!(verify(&trusted, &longer_length), Err(Refusal::Malformed));
}

/// A signer may be careless; one statement still has one encoding.
#[test]
fn signed_statements_that_are_not_canonical_are_refused() {
    let good = encoded(&plain_seal());
    let sequence_at = 1 + 5 + 1 + 1 + 5;
    assert_eq!(good[sequence_at], 42);
    let longer_number = [&good[..sequence_at], &[42 | 0x80, 0], &good[sequence_at + 1..]].concat();
    let trailing_byte = [good.as_slice(), &[0]].concat();
    let unknown_architecture = [&good[..6], &[99], &good[7..]].concat();
    let upper_case_id = [&good[..1], b"K", &good[2..]].concat();
    for body in [longer_number, trailing_byte, unknown_architecture, upper_case_id] {
        let file = seal_file(&body, &[sign(&body, 1)]);
        assert_eq!(verify(&key_set(&[1], 1), &file), Err(Refusal::Malformed), "{body:02x?}");
    }
}

#[test]
fn signed_statements_that_contradict_themselves_are_refused() {
    let floor_above_sequence = Seal { floor: 43, ..plain_seal() };
    let no_image = Seal { image_size: 0, ..plain_seal() };
    let broken_block = Seal { image_size: 8191, ..plain_seal() };
    let absurd_image = Seal { image_size: 1 << 50, ..plain_seal() };
    for seal in [floor_above_sequence, no_image, broken_block, absurd_image] {
        let body = encoded(&seal);
        let file = seal_file(&body, &[sign(&body, 1)]);
        let verdict = verify(&key_set(&[1], 1), &file);
        assert!(matches!(verdict, Err(Refusal::Inconsistent(_))), "{verdict:?} of {seal:?}");
        assert!(seal.sign(&keys(&[1])).is_err());
    }
}

#[test]
fn seal_for_another_machine_is_refused() {
    let file = plain_seal().sign(&keys(&[1])).unwrap();
    let right = Expect {
        image_id: Some("kiosk".parse().unwrap()),
        architecture: Some(Architecture::X86_64),
        floor: 42,
    };
    let other_id = Expect { image_id: Some("router".parse().unwrap()), ..right.clone() };
    let other_machine = Expect { architecture: Some(Architecture::Aarch64), ..right.clone() };
    let higher_floor = Expect { floor: 43, ..right.clone() };
    for (expect, outcome) in [
        (right, Ok(())),
        (other_id, Err(Refusal::ImageId("kiosk".parse().unwrap()))),
        (other_machine, Err(Refusal::Architecture(Architecture::X86_64))),
        (higher_floor, Err(Refusal::BelowFloor { sequence: 42, floor: 43 })),
    ] {
        let verdict = key_set(&[1], 1).verify(Unverified(&file), &expect);
        assert_eq!(verdict.map(drop), outcome, "{expect:?}");
    }
}

#[test]
fn largest_seal_fits() {
    let seal = Seal {
        image_id: "i".repeat(64).parse().unwrap(),
        version: "9".repeat(64).parse().unwrap(),
        sequence: u64::MAX,
        floor: u64::MAX,
        created: u64::MAX,
        best_before: Some(u64::MAX),
        next_keys: Some(key_set(&(10..26).collect::<Vec<u8>>(), 4)),
        ..full_seal()
    };
    let file = seal.sign(&keys(&[1, 2, 3, 4])).unwrap();
    assert!(file.len() < 4096 / 2, "{} bytes", file.len());
    assert_eq!(verify(&key_set(&[1, 2, 3, 4], 4), &file), Ok(()));
}

#[test]
fn json_of_a_seal_is_for_people() {
    let json = serde_json::to_value(full_seal()).unwrap();
    assert_eq!(json["architecture"], "amd64");
    assert_eq!(json["root_hash"], full_seal().root_hash.to_string());
    assert_eq!(json["next_keys"]["keys"].as_array().unwrap().len(), 2);
    assert_eq!(serde_json::from_value::<Seal>(json).unwrap(), full_seal());
}

fn verify(trusted: &KeySet, file: &[u8]) -> Result<(), Refusal> {
    trusted.verify(Unverified(file), &ANYTHING).map(drop)
}

type Signed = (KeyId, [u8; 64]);

/// The seal file by the letter of docs/formats/seal.md, with no regard for its rules.
fn seal_file(body: &[u8], signatures: &[Signed]) -> Vec<u8> {
    let mut file = vec![1];
    file.extend(postcard::to_allocvec(body).unwrap());
    file.push(signatures.len() as u8);
    for (signer, signature) in signatures {
        file.extend_from_slice(signer.as_bytes());
        file.extend_from_slice(signature);
    }
    file
}

fn encoded(seal: &Seal) -> Vec<u8> {
    postcard::to_allocvec(seal).unwrap()
}

fn sign(body: &[u8], number: u8) -> Signed {
    sign_raw(&[b"pintle seal v1\0", body].concat(), number)
}

fn sign_raw(message: &[u8], number: u8) -> Signed {
    let signing = ed25519_dalek::SigningKey::from_bytes(&[number; 32]);
    (key(number).public().id(), signing.sign(message).to_bytes())
}

fn in_order<const N: usize>(mut signatures: [Signed; N]) -> [Signed; N] {
    signatures.sort();
    signatures
}
