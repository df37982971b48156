//! The invariants of the fuzz targets, on a fixed number of mutations of good inputs.

mod invariants;
#[path = "../../verify/tests/mutation/mod.rs"]
mod mutation;

use invariants::{
    ID, a_content_range_is_within_its_whole, a_reference_stays_the_same, a_reply_is_bounded,
    challenges_are_read_or_refused, credentials_are_read_or_refused, names_are_bounded,
};
use mutation::run;

fn seeds<const COUNT: usize>(texts: [&str; COUNT]) -> [Vec<u8>; COUNT] {
    texts.map(|text| text.as_bytes().to_vec())
}

#[test]
fn references() {
    let digest = format!("r.example.com/os@sha256:{}", "0a".repeat(32));
    let texts = ["r.example.com/os:stable", "[::1]:5000/os/kiosk:v1.2-3_4", &digest];
    run(&seeds(texts), a_reference_stays_the_same);
}

#[test]
fn challenges() {
    let texts = [
        "Basic realm=\"registry\"",
        "Bearer realm=\"https://auth.example.com/token\",service=\"registry \\\"1\\\"\",scope=\"a:b:c\"",
        "Negotiate, Digest a=b, Basic realm=x",
    ];
    run(&seeds(texts), challenges_are_read_or_refused);
}

#[test]
fn content_ranges() {
    let texts = ["bytes 0-0/1", "bytes 100-4195/18446744073709551615", "bytes 5-9/*"];
    run(&seeds(texts), a_content_range_is_within_its_whole);
}

#[test]
fn credentials() {
    let texts = [
        r#"{"auths":{"r.example.com":{"auth":"YWxpY2U6c2VjOnJldA=="}}}"#,
        r#"{"auths":{"r.example.com/os":{"identitytoken":"t"},"https://index.docker.io/v1/":{"username":"a","password":"b"}},"x":[1]}"#,
    ];
    run(&seeds(texts), credentials_are_read_or_refused);
}

#[test]
fn names() {
    let texts = [
        "nameserver 192.0.2.1\nnameserver fe80::1%2\nsearch example.com lan\noptions ndots:2 timeout:1\n",
        "127.0.0.1 localhost\n192.0.2.7\tregistry registry.lan # ours\n::1 localhost\n",
    ];
    run(&seeds(texts), names_are_bounded);
}

/// RFC 1035, 4.1: a header, the question, an address by a pointer to the name, and an alias.
#[test]
fn replies() {
    let name = b"\x08registry\x07example\x03com\0";
    let reply = |records: u8, rest: &[u8]| {
        let header = [&ID.to_be_bytes()[..], &[0x81, 0x80, 0, 1, 0, records, 0, 0, 0, 0]].concat();
        [&header, &name[..], &[0, 1, 0, 1], rest].concat()
    };
    let address = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x07";
    let alias = b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x04\x01a\xc0\x15";
    let seeds = [
        reply(1, address),
        reply(1, alias),
        reply(2, &[&address[..], address].concat()),
        reply(0, b""),
    ];
    run(&seeds, a_reply_is_bounded);
}
