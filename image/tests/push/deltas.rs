//! Deltas from earlier releases, wherever they are.

use crate::shop::Shop;
use serde_json::Value;

/// A shop with a release whose only change is a line.
fn shop() -> Shop {
    let shop = Shop::open();
    shop.workshop
        .shell("echo more > more && tar --create --file more.tar more && umoci raw add-layer --image oci:latest more.tar")
        .noted();
    shop.build("r2", 2);
    shop
}

#[test]
fn a_delta_is_the_same_from_a_directory_and_from_a_registry() {
    let shop = shop();
    shop.push("r1", "old:1");
    let old = shop.tag("old:1");
    let layers = ["r1", &old].map(|from| {
        let to = format!("oci:{}:1", from.len());
        let push = format!("push r2 {to} --fast --plain-http --json --delta-from {from}");
        let pushed = shop.workshop.pintle(&push).json();
        let delta = &pushed["deltas"][0];
        assert_eq!(
            (&delta["published"], &delta["from"]),
            (&Value::from(true), &Value::from("1.0"))
        );
        let [size, instead_of] = ["size", "instead_of"].map(|key| delta[key].as_u64().unwrap());
        assert!(size < 2000 && size < instead_of, "{delta}");
        let release = pushed["release"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
        shop.workshop.read(&format!("{}/blobs/sha256/{release}", from.len()))
    });
    assert_eq!(layers[0], layers[1]);
    let manifest: Value = serde_json::from_slice(&layers[0]).unwrap();
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 3);
}

#[test]
fn what_no_delta_can_be_made_from_is_named() {
    let shop = Shop::open();
    shop.build("r2", 2);
    let same = shop.workshop.pintle("push r1 oci:same --fast --delta-from r1").complained();
    assert!(same.contains("it is the same image"), "{same}");
    let nowhere = shop
        .workshop
        .shell("! \"$PINTLE\" push r2 oci:x --delta-from missing 2>said && cat said")
        .said();
    assert!(nowhere.contains("it is no directory"), "{nowhere}");
    shop.workshop.shell("sed -i s/demo/other/ rootfs/usr/lib/os-release").noted();
    shop.workshop.pintle("build dir:rootfs --key ours.key -q --sequence 3 -o other").said();
    let other = shop.workshop.pintle("push other oci:x --fast --delta-from r1").complained();
    assert!(other.contains("it is of another image"), "{other}");
}
