//! Releases travel with the tools that copy containers.

use crate::shop::{Shop, digests};

#[test]
fn what_skopeo_copies_has_the_same_manifests_and_blobs_below_the_index() {
    for shop in Shop::at_each_registry() {
        shop.push_container("os:1");
        shop.push("r1", "os:1");
        let [first, second] =
            ["os:1", "elsewhere/os:1"].map(|name| format!("docker://{}", shop.tag(name)));
        shop.skopeo_copy(&first, "oci:copy:1");
        shop.skopeo_copy("oci:copy:1", &second);
        let below = digests(&shop.raw("os:1"));
        assert_eq!(digests(&shop.raw("elsewhere/os:1")), below);
        for digest in below {
            let [here, there] =
                ["os", "elsewhere/os"].map(|name| shop.raw(&format!("{name}@{digest}")));
            assert_eq!(here, there, "{digest}");
        }
        // Every blob of the release is there: nothing is sent, and the index is as it was.
        let again = shop.push("r1", "elsewhere/os:1");
        assert_eq!(again["sent"], 0);
    }
}

#[test]
fn a_release_pushed_over_a_copied_one_keeps_the_containers() {
    for shop in Shop::at_each_registry() {
        shop.push_container("os:1");
        shop.push("r1", "os:1");
        let [first, second] =
            ["os:1", "copied:1"].map(|name| format!("docker://{}", shop.tag(name)));
        shop.skopeo_copy(&first, &second);
        let container = digests(&shop.raw("os:1")).remove(0);
        shop.build("r2", 2);
        let release = shop.push("r2", "copied:1")["release"].as_str().unwrap().to_owned();
        assert_eq!(digests(&shop.raw("copied:1")), [container, release]);
    }
}
