//! The invariants of the fuzz targets, on a fixed number of mutations of good inputs.

mod invariants;
mod mutation;

use std::slice;

use invariants::{
    SEALED_TREE, key, key_set_has_one_encoding, pem_key_stays_the_same_key, seal,
    tree_file_is_the_one_of_its_seal, what_is_believed_was_signed,
};
use mutation::run;
use pintle_verify::{KeySet, PublicKey, SigningKey};

#[test]
fn only_what_was_signed_is_believed() {
    // The signatures of the two strangers are what may change with no harm.
    let strangers = [key(), SigningKey::generate(&[8; 32]), SigningKey::generate(&[9; 32])];
    let seeds = [seal().sign(&[key()]).unwrap(), seal().sign(&strangers).unwrap()];
    run(&seeds, what_is_believed_was_signed);
}

#[test]
fn a_key_set_has_one_encoding() {
    let numbers = (1..=16).map(|number| SigningKey::generate(&[number; 32]).public());
    let sixteen: Vec<PublicKey> = numbers.collect();
    let seeds =
        [1, 2, 16].map(|count| KeySet::new(sixteen[..count].to_vec(), 1).unwrap().to_bytes());
    run(&seeds, key_set_has_one_encoding);
}

#[test]
fn a_tree_file_is_the_one_of_its_seal() {
    run(slice::from_ref(&SEALED_TREE.1), tree_file_is_the_one_of_its_seal);
}

#[test]
fn a_key_in_pem_stays_the_same_key() {
    let public = key().public().to_pem().unwrap().into_bytes();
    let private = key().to_pem().unwrap().as_bytes().to_vec();
    run(&[public, private], pem_key_stays_the_same_key);
}
