//! A release from beginning to end.

use crate::workshop::Workshop;

#[test]
fn a_release_is_built_inspected_and_verified() {
    let workshop = Workshop::of_a_machine();
    let built =
        workshop.pintle("build dir:rootfs --key ours.key -o out --sequence 7 --json").json();
    assert_eq!(built["image_id"], "demo");
    assert_eq!(built["version"], "1.0");
    assert_eq!(built["services"], 1);
    assert_eq!(workshop.names("out"), ["root.img", "root.tree", "seal"]);

    let shown = workshop.pintle("inspect out --json").json();
    assert_eq!(shown["seal"]["root_hash"], built["root_hash"]);
    assert_eq!(shown["seal"]["sequence"], 7);
    let files = shown["image"]["files"].as_array().unwrap();
    let compiled = files.iter().find(|file| file["path"] == "/usr/lib/pintle/system.bin").unwrap();
    assert_eq!((&compiled["mode"], &compiled["uid"]), (&"0644".into(), &0.into()));

    let verified = workshop.pintle("verify out --keys ours.pub --json").json();
    assert_eq!(verified["root_hash"], built["root_hash"]);
    workshop.pintle("verify out/root.img --keys ours.pub --keys theirs.pub").said();
}

#[test]
fn a_release_that_is_not_what_was_asked_for_is_not_verified() {
    let workshop = Workshop::of_a_machine();
    workshop.pintle("build dir:rootfs --key ours.key -o out --sequence 7 --arch arm64").said();
    for (expectation, cause) in [
        ("--keys theirs.pub", "signed by 0 trusted keys, needed 1"),
        ("--keys ours.pub --keys theirs.pub --threshold 2", "signed by 1 trusted keys, needed 2"),
        ("--keys ours.pub --image-id other", "for another image: demo"),
        ("--keys ours.pub --arch amd64", "for another architecture: arm64"),
        ("--keys ours.pub --floor 8", "sequence 7 is below the floor 8"),
    ] {
        let complaint = workshop.pintle(&format!("verify out {expectation}")).complained();
        assert!(complaint.contains(cause), "{expectation}: {complaint}");
    }
}

#[test]
fn who_signed_is_told_where_no_trusted_key_did() {
    let workshop = Workshop::of_a_machine();
    let id = workshop.pintle("keygen -o vendor --json").json()["id"].as_str().unwrap().to_owned();
    workshop.pintle("build dir:rootfs --key vendor.key -o out").said();
    let complaint = workshop.pintle("verify out --keys theirs.pub").complained();
    assert!(complaint.ends_with(&format!("; its signer is key {id}\n")), "{complaint}");
}

#[test]
fn two_signers_make_two_signatures() {
    let workshop = Workshop::of_a_machine();
    workshop.pintle("build dir:rootfs --key ours.key --key theirs.key -o out").said();
    workshop.pintle("verify out --keys ours.pub --keys theirs.pub --threshold 2").said();
}

#[test]
fn terms_and_times_are_in_the_seal() {
    let workshop = Workshop::of_a_machine();
    workshop
        .shell(
            "SOURCE_DATE_EPOCH=1700000000 $PINTLE build dir:rootfs --key ours.key -o out \
             --best-before 2030-01-01T00:00:00Z --rollout 5 --floor 3 --sequence 4",
        )
        .said();
    let seal = &workshop.pintle("inspect out/seal --json").json()["seal"];
    assert_eq!(seal["created"], 1_700_000_000);
    assert_eq!(seal["best_before"], 1_893_456_000);
    assert_eq!((&seal["rollout"], &seal["floor"]), (&5.into(), &3.into()));
}

#[test]
fn files_that_the_machines_own_var_hides_are_told() {
    let workshop = Workshop::of_a_machine();
    let build = "build dir:rootfs --key ours.key -o out";
    std::fs::create_dir_all(workshop.path("rootfs/var/lib/empty")).unwrap();
    workshop.file("various/a", 0o644, "");
    assert_eq!(workshop.pintle(build).noted(), "");
    workshop.file("var/lib/a", 0o644, "");
    workshop.link("var/run", "/run");
    let note = "note: /var has 2 files that machines do not see: theirs is on the state partition \
                and starts empty\n";
    assert_eq!(workshop.pintle(build).noted(), note);
    assert_eq!(workshop.pintle(&format!("{build} --quiet")).noted(), "");
    assert_eq!(workshop.pintle(&format!("{build} --json")).json()["hidden_in_var"], 2);
}

#[test]
fn a_layout_that_cannot_be_kept_is_told() {
    let workshop = Workshop::of_a_machine();
    let large = "usr/share/large";
    workshop.file(large, 0o644, &"x".repeat(1_000_000));
    workshop.pintle("build dir:rootfs --key ours.key -o old").said();
    std::fs::remove_file(workshop.path("rootfs").join(large)).unwrap();
    let build = "build dir:rootfs --key ours.key -o new --layout-from old";
    let note = "note: the image is laid out anew: to keep the older layout would leave too much of it \
                empty\n";
    assert_eq!(workshop.pintle(build).noted(), note);
    assert_eq!(workshop.pintle(&format!("{build} --json")).json()["layout"], "anew");
    let again = "build dir:rootfs --key ours.key -o newer --layout-from new --json";
    assert_eq!(workshop.pintle(again).json()["layout"], "kept");
}

#[test]
fn a_file_beside_a_release_does_not_stand_for_it() {
    let workshop = Workshop::of_a_machine();
    workshop.pintle("build dir:rootfs --key ours.key -o out").said();
    std::fs::write(workshop.path("out/other.img"), "anything").unwrap();
    let complaint = workshop.pintle("verify out/other.img --keys ours.pub").complained();
    assert!(complaint.contains("expected a release's directory, or root.img"), "{complaint}");
    let complaint = workshop.pintle("verify gone/root.img --keys ours.pub").complained();
    assert!(complaint.contains("cannot open gone/root.img"), "{complaint}");
}

#[test]
fn a_seal_is_shown_with_its_signers() {
    let workshop = Workshop::of_a_machine();
    let vendor = workshop.pintle("keygen -o vendor --json").json();
    workshop.pintle("build dir:rootfs --key vendor.key -o out").said();
    let shown = workshop.pintle("inspect out/seal --json").json();
    assert_eq!(shown["seal"]["signers"], serde_json::json!([vendor["id"]]));
    let text = workshop.pintle("inspect out/seal").said();
    assert!(
        text.contains(&format!("signed by     {}\n", vendor["id"].as_str().unwrap())),
        "{text}"
    );
}

#[test]
fn what_is_neither_image_nor_seal_is_called_so() {
    let workshop = Workshop::of_a_machine();
    workshop.pintle("build dir:rootfs --key ours.key -o out").said();
    for file in ["out/root.tree", "ours.pub", "/dev/null"] {
        let complaint = workshop.pintle(&format!("inspect {file}")).complained();
        let said =
            format!("cannot inspect {file}: it is no image (no EROFS superblock at byte 1024)");
        assert!(complaint.contains(&said), "{complaint}");
        assert!(complaint.contains("and no seal (seal "), "{complaint}");
    }
}

/// script(1) gives the program a terminal.
#[test]
fn a_terminal_shows_how_far_it_is_and_is_left_clean() {
    let workshop = Workshop::of_a_machine();
    let build = "$PINTLE build dir:rootfs --key ours.key -o out";
    let on_terminal = |more: &str| {
        workshop
            .shell(&format!("script --quiet --return --command \"{build} {more}\" typescript"))
            .said()
    };
    let shown = on_terminal("");
    for phase in ["reading files", "writing image"] {
        assert!(shown.contains(phase), "{phase}: {shown:?}");
    }
    let last = shown.rsplit("\x1b[2K").next().unwrap_or_default();
    assert!(last.starts_with("demo 1.0 (sequence "), "{last:?}");
    assert!(on_terminal("--quiet").starts_with("demo 1.0 (sequence "));
}
