//! Releases in directories and tar files.

use crate::shop::{Shop, digests};
use serde_json::Value;

#[test]
fn a_layout_and_an_archive_have_what_a_registry_has() {
    let shop = Shop::open();
    let in_registry = shop.push("r1", "os:1");
    for place in ["oci:layout:1", "oci-archive:layout.tar:1"] {
        let pushed = shop.workshop.pintle(&format!("push r1 {place} --fast --json")).json();
        assert_eq!(pushed, in_registry, "{place}");
        let inspect = format!("skopeo inspect --raw {place}");
        assert_eq!(shop.workshop.shell(&inspect).said(), shop.raw("os:1"));
    }
}

#[test]
fn a_layout_keeps_its_other_tags_and_the_container_of_this_one() {
    let shop = Shop::open();
    shop.workshop.shell("cp -r oci both").noted();
    shop.workshop.pintle("push r1 oci:both:latest --fast -q").said();
    shop.workshop.pintle("push r1 oci:both:other --fast -q").said();
    let named =
        |tag: &str| shop.workshop.shell(&format!("skopeo inspect --raw oci:both:{tag}")).said();
    let index: Value = serde_json::from_slice(&shop.workshop.read("oci/index.json")).unwrap();
    let container = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
    let [latest, other] = ["latest", "other"].map(|tag| digests(&named(tag)));
    assert_eq!(latest, [container, other[0].clone()]);
    assert_eq!(other.len(), 1);
}

#[test]
fn what_is_pushed_twice_is_sent_once() {
    let shop = Shop::open();
    let first = shop.push("r1", "os:1");
    assert_eq!(first["sent"], first["size"]);
    let again = shop.push("r1", "os:1");
    assert_eq!((&again["sent"], &again["index"]), (&Value::from(0), &first["index"]));
}
