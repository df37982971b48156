//! What cannot be built is told with a way out, and leaves nothing behind.

use crate::workshop::Workshop;

const BUILD: &str = "build dir:rootfs --key ours.key -o out";

#[test]
fn every_mistake_in_the_configuration_is_told_with_its_place() {
    let workshop = Workshop::of_a_machine();
    workshop.file("usr/lib/pintle/a.toml", 0o644, "[service.a]\ncommand = [\"/usr/bin/none\"]\n");
    workshop.file("usr/lib/pintle/b.toml", 0o644, "[service.b]\ncomand = [\"/usr/bin/hello\"]\n");
    let complaint = workshop.pintle(BUILD).complained();
    for place in ["\n/usr/lib/pintle/a.toml:2:12: found ", "\n/usr/lib/pintle/b.toml:2:1: found "] {
        assert!(complaint.contains(place), "{complaint}");
    }
    assert!(complaint.contains("did you mean"), "{complaint}");
    assert!(!workshop.path("out").exists());
}

#[test]
fn an_image_without_a_configuration_needs_another_init() {
    let workshop = Workshop::of_a_machine();
    std::fs::remove_dir_all(workshop.path("rootfs/usr/lib/pintle")).unwrap();
    let complaint = workshop.pintle(BUILD).complained();
    assert!(complaint.contains("/usr/lib/pintle") && complaint.contains("--no-system"));
    workshop.pintle(&format!("{BUILD} --no-system")).said();
}

#[test]
fn an_image_that_follows_a_tag_needs_the_worker_and_certificates() {
    let workshop = Workshop::of_a_machine();
    let text = "[update]\nfrom = \"registry.example.com/os/kiosk:stable\"\n";
    workshop.file("usr/lib/pintle/update.toml", 0o644, text);
    let complaint = workshop.pintle(BUILD).complained();
    for missing in ["/usr/lib/pintle/pintle-fetch", "/etc/ssl/certs/ca-certificates.crt"] {
        assert!(complaint.contains(missing), "{complaint}");
    }
    workshop.file("usr/lib/pintle/pintle-fetch", 0o755, "\x7fELF");
    workshop.file("etc/ssl/certs/ca-certificates.crt", 0o644, "");
    workshop.pintle(BUILD).said();
}

#[test]
fn an_image_without_a_name_needs_one() {
    let workshop = Workshop::of_a_machine();
    workshop.file("usr/lib/os-release", 0o644, "ID=linux\n");
    let complaint = workshop.pintle(BUILD).complained();
    assert!(complaint.contains("IMAGE_ID") && complaint.contains("--image-id"), "{complaint}");
    let complaint = workshop.pintle(&format!("{BUILD} --image-id demo")).complained();
    assert!(complaint.contains("--image-version"), "{complaint}");
    workshop.pintle(&format!("{BUILD} --image-id demo --image-version 1")).said();
}

#[test]
fn a_failed_build_leaves_the_release_before_it() {
    let workshop = Workshop::of_a_machine();
    workshop.pintle(BUILD).said();
    let before =
        ["root.img", "root.tree", "seal"].map(|name| workshop.read(&format!("out/{name}")));
    workshop.file("usr/lib/pintle/hello.toml", 0o644, "[");
    let complaint = workshop.pintle(BUILD).complained();
    assert!(complaint.contains(": 1 mistake\n/usr/lib/pintle/hello.toml:1:"), "{complaint}");
    let after = ["root.img", "root.tree", "seal"].map(|name| workshop.read(&format!("out/{name}")));
    assert!(before == after);
    assert_eq!(workshop.names("out").len(), 3);
}

#[test]
fn a_layout_is_not_kept_from_what_is_no_image() {
    let workshop = Workshop::of_a_machine();
    let after = |old: &str| workshop.pintle(&format!("{BUILD} --layout-from {old}")).complained();
    assert!(after("gone").contains("cannot open gone"));
    assert!(after("rootfs").contains("cannot open rootfs/root.img"));
    let complaint = after("ours.pub");
    assert!(
        complaint.contains("cannot use ours.pub as an image: no EROFS superblock"),
        "{complaint}"
    );
    assert!(!workshop.path("out").exists());
}

#[test]
fn a_floor_above_the_sequence_is_refused() {
    let workshop = Workshop::of_a_machine();
    let complaint = workshop.pintle(&format!("{BUILD} --sequence 4 --floor 5")).complained();
    assert!(complaint.contains("floor is above its own sequence"), "{complaint}");
    assert!(!workshop.path("out").exists());
}

#[test]
fn what_is_no_number_is_told_what_was_expected() {
    let workshop = Workshop::of_a_machine();
    for (command, range) in [
        (&*format!("{BUILD} --sequence x"), "from 0 to 18446744073709551615"),
        (&format!("{BUILD} --floor x"), "from 0 to 18446744073709551615"),
        ("verify out --keys ours.pub --floor x", "from 0 to 18446744073709551615"),
        ("verify out --keys ours.pub --threshold 5", "from 1 to 4"),
        ("initrd --init i --config c --keys k -o o --threshold 0", "from 1 to 4"),
    ] {
        let complaint = workshop.shell(&format!("$PINTLE {command} || exit 1")).complained();
        assert!(complaint.contains(&format!("expected a whole number {range}")), "{complaint}");
    }
}

/// A limit on files stands for a full disk: the file that is read is not the one that is to blame.
#[test]
fn what_cannot_be_written_is_what_is_complained_of() {
    let workshop = Workshop::of_a_machine();
    workshop.file("usr/bin/large", 0o755, &"large".repeat(1 << 20));
    let script = format!("trap '' XFSZ; ulimit -f 1024; exec $PINTLE {BUILD}");
    let complaint = workshop.shell(&script).complained();
    let said = "pintle: cannot write a temporary file in out: File too large";
    assert!(complaint.starts_with(said), "{complaint}");
    assert!(!workshop.path("out").exists());
}

#[test]
fn a_directory_that_was_there_stays() {
    let workshop = Workshop::of_a_machine();
    workshop.file("usr/lib/pintle/hello.toml", 0o644, "[");
    std::fs::create_dir(workshop.path("made")).unwrap();
    workshop.pintle("build dir:rootfs --key ours.key -o made/a/b").complained();
    assert!(workshop.names("made").is_empty());
}

/// The build waits for somebody to write to its source.
#[test]
fn an_interrupted_build_leaves_nothing() {
    let workshop = Workshop::of_a_machine();
    let script = "mkfifo pipe
        $PINTLE build docker-archive:pipe --key ours.key -o made/out & build=$!
        for try in $(seq 1000); do if [ -d made/out ]; then break; fi; sleep 0.01; done
        kill -s $SIGNAL $build
        if wait $build 2> /dev/null; then exit 1; fi
        rm pipe; ls";
    for signal in ["INT", "TERM"] {
        let left = workshop.shell(&format!("SIGNAL={signal}; {script}")).said();
        assert_eq!(left, "ours.key\nours.pub\nrootfs\ntheirs.key\ntheirs.pub\n", "{signal}");
    }
}
