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

/// How many bytes a release has in a registry.
fn published(workshop: &Workshop, release: &str) -> u64 {
    let push = format!("push {release} oci:{release}-pushed --fast --json");
    workshop.pintle(&push).json()["size"].as_u64().unwrap()
}

#[test]
fn twenty_releases_in_a_row_stay_as_small_as_one() {
    let workshop = Workshop::of_a_machine();
    let noise = "head -c 6000000 /dev/zero | openssl enc -aes-128-ctr -K 7 -iv 7 2>/dev/null";
    let parts = "tr -d '\\200-\\377' | split -b 30000 - rootfs/opt/part-";
    workshop.shell(&format!("mkdir rootfs/opt && {noise} | {parts}")).noted();
    let build = |release: &str, sequence: usize, options: &str| {
        let build =
            format!("build dir:rootfs --key ours.key -q --sequence {sequence} -o {release}");
        workshop.pintle(&format!("{build} {options}")).said();
    };
    build("r0", 1, "");
    for round in 1..=20 {
        // Of the hundred files some change, one grows, and one goes.
        let change = format!(
            "cd rootfs/opt
            for part in $(ls | awk 'NR % 13 == {round} % 13'); do
                tr '\\000-\\177' '\\001-\\177\\000' < $part > new && mv new $part
            done
            last=$(ls | awk 'NR == {round} * 2') && head -c {round}000 /dev/zero | tr '\\0' x >> $last
            rm -f $(ls | awk 'NR == {round} * 3')"
        );
        workshop.shell(&change).noted();
        build(&format!("r{round}"), round + 1, &format!("--layout-from r{}", round - 1));
    }
    build("anew", 21, "");
    let image = |release: &str| workshop.read(&format!("{release}/root.img")).len();
    assert!(image("r20") * 10 <= image("anew") * 11, "{} {}", image("r20"), image("anew"));
    let [kept, anew] = ["r20", "anew"].map(|release| published(&workshop, release));
    assert!(kept * 20 <= anew * 21, "{kept} bytes after twenty releases, {anew} anew");
}
