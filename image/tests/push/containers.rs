//! The container images of a tag stay of use to those who run containers.

use crate::shop::{Shop, digests};

/// What podman needs in a container of a test: files for its storage, no cgroups of its own, no limits raised.
const PODMAN: &str = "podman --root \"$PWD/root\" --runroot \"$PWD/run\" --storage-driver vfs --events-backend none \
                      --runtime runc";
const RUN: &str =
    "run --rm --cgroups no-conmon --network none --ulimit nofile=512:512 --ulimit nproc=512:512";

#[test]
fn podman_pulls_and_runs_the_container_of_a_tag_that_has_a_release() {
    let shop = Shop::open();
    shop.push_container("os:1");
    shop.push("r1", "os:1");
    let tag = shop.tag("os:1");
    shop.workshop.shell(&format!("{PODMAN} pull --quiet --tls-verify=false {tag}")).noted();
    let show = "/bin/busybox cat /usr/lib/os-release";
    let shown = shop.workshop.shell(&format!("{PODMAN} {RUN} --pull never {tag} {show}")).said();
    assert_eq!(shown, "IMAGE_ID=demo\nIMAGE_VERSION=1.0\n");
}

#[test]
fn a_release_is_listed_behind_what_the_tag_named_before() {
    let shop = Shop::open();
    shop.push_container("os:1");
    let container = format!("sha256:{}", sha256(&shop.raw("os:1")));
    let pushed = shop.push("r1", "os:1");
    let release = pushed["release"].as_str().unwrap().to_owned();
    assert_eq!(digests(&shop.raw("os:1")), [container.clone(), release]);
    assert_eq!(pushed["containers"], 1);
    shop.build("r2", 2);
    let second = shop.push("r2", "os:1")["release"].as_str().unwrap().to_owned();
    assert_eq!(digests(&shop.raw("os:1")), [container, second]);
}

fn sha256(text: &str) -> String {
    pintle_verify::Digest::of(text.as_bytes()).hex().to_string()
}
