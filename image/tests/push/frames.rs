//! How an image is cut into frames.

use crate::workshop::Workshop;

/// What a machine with the older image fetches by blocks.
fn by_blocks(workshop: &Workshop, to: &str) -> u64 {
    let push = format!("push new oci:{to} --fast --json --delta-from old");
    workshop.pintle(&push).json()["deltas"][0]["instead_of"].as_u64().unwrap()
}

#[test]
fn frames_that_end_where_the_older_image_does_save_a_machine_bytes() {
    let workshop = Workshop::of_a_machine();
    let noise = "head -c 40000000 /dev/zero | openssl enc -aes-128-ctr -K 7 -iv 7 2>/dev/null";
    let files = format!("mkdir rootfs/opt && {noise} | split -b 400000 - rootfs/opt/part-");
    workshop.shell(&files).noted();
    workshop.pintle("build dir:rootfs --key ours.key -q -o old").said();
    workshop
        .shell("for part in rootfs/opt/part-*c; do tr a-z A-Z < $part > new && mv new $part; done")
        .said();
    let build = "build dir:rootfs --key ours.key -q --sequence 2 -o new --layout-from old";
    workshop.pintle(build).said();

    let cut = by_blocks(&workshop, "cut");
    workshop.shell("mv new/cuts cuts").said();
    let uncut = by_blocks(&workshop, "uncut");
    assert!(cut < uncut, "{cut} with cuts, {uncut} without");

    workshop.shell("echo nonsense > new/cuts").said();
    let complaint = workshop.pintle("push new oci:wrong --fast").complained();
    assert!(complaint.contains("cannot use new/cuts"), "{complaint}");
    // A release in the same place that has none leaves none behind.
    workshop.pintle("build dir:rootfs --key ours.key -q --sequence 2 -o new").said();
    workshop.shell("! test -e new/cuts").said();
}
