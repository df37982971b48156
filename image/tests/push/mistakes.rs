//! Mistakes fail at the push, not on the machines.

use crate::shop::Shop;
use std::fs;

#[test]
fn an_older_release_is_pushed_only_by_force() {
    let shop = Shop::open();
    shop.build("r2", 2);
    shop.push("r2", "os:1");
    let before = shop.raw("os:1");
    let push = format!("push r1 {} --plain-http --fast", shop.tag("os:1"));
    let refused = shop.workshop.pintle(&push).complained();
    assert!(
        refused.contains("the tag has 1.0 with sequence 2") && refused.contains("--force"),
        "{refused}"
    );
    assert_eq!(shop.raw("os:1"), before);
    shop.workshop.pintle(&format!("{push} --force -q")).said();
    assert_ne!(shop.raw("os:1"), before);
}

#[test]
fn another_image_with_the_same_sequence_is_refused() {
    let shop = Shop::open();
    shop.push("r1", "os:1");
    shop.workshop.shell("echo more > more && tar --create --file more.tar more && umoci raw add-layer --image oci:latest more.tar").noted();
    shop.build("other", 1);
    let push = format!("push other {} --plain-http --fast --force", shop.tag("os:1"));
    let refused = shop.workshop.pintle(&push).complained();
    assert!(refused.contains("another image with sequence 1"), "{refused}");
}

#[test]
fn a_release_that_is_not_what_its_seal_says_goes_nowhere() {
    let shop = Shop::open();
    for (file, expected) in
        [("root.img", "block 0"), ("root.tree", "not the tree"), ("seal", "read seal")]
    {
        shop.workshop.shell("rm -rf bad && cp -r r1 bad").noted();
        let path = shop.workshop.path("bad").join(file);
        let mut bytes = fs::read(&path).unwrap();
        // The leaves are the end of the tree.
        let at = if file == "root.tree" { bytes.len() - 4096 } else { 0 };
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        let refused = shop.workshop.pintle("push bad oci:nowhere --fast").complained();
        assert!(refused.contains(expected), "{file}: {refused}");
        assert!(!shop.workshop.path("nowhere/index.json").exists());
    }
}

#[test]
fn what_is_no_place_and_who_does_not_answer_are_named_with_what_to_do() {
    let shop = Shop::open();
    let tls = shop.workshop.pintle(&format!("push r1 {} --fast", shop.tag("os:1"))).complained();
    assert!(tls.contains("--plain-http"), "{tls}");
    for (place, expected) in [
        ("os:1", "HOST/REPOSITORY"),
        ("example.com/os", "HOST/REPOSITORY:TAG"),
        ("oci::1", "a path or a tag is missing"),
    ] {
        let script = format!("! \"$PINTLE\" push r1 {place} --fast 2>said && cat said");
        let said = shop.workshop.shell(&script).said();
        assert!(said.contains(expected), "{place}: {said}");
    }
}
