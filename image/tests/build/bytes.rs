//! Equal trees give equal bytes, however they came to be.

use crate::workshop::Workshop;

const BUILD: &str = "$PINTLE build $SOURCE --key ours.key -o $OUT --no-system --arch amd64 \
                     --image-id demo --image-version 1 --sequence 1 --created 1";

/// Builds `source` into `out`.
fn build(workshop: &Workshop, source: &str, out: &str) {
    workshop.shell(&format!("SOURCE={source} OUT={out}; {BUILD}")).said();
}

fn assert_same(workshop: &Workshop, ways: &[&str]) {
    for name in ["root.img", "root.tree"] {
        let files = ways.iter().map(|way| workshop.read(&format!("{way}/{name}")));
        let files: Vec<_> = files.collect();
        assert!(files.windows(2).all(|pair| pair[0] == pair[1]), "{name} of {ways:?}");
    }
}

#[test]
fn the_same_image_gives_the_same_seal() {
    let workshop = Workshop::of_a_machine();
    build(&workshop, "dir:rootfs", "a");
    build(&workshop, "dir:rootfs", "b");
    assert_same(&workshop, &["a", "b"]);
    assert!(workshop.read("a/seal") == workshop.read("b/seal"));
}

#[test]
fn umask_time_zone_locale_and_threads_do_not_show() {
    let workshop = Workshop::of_a_machine();
    build(&workshop, "dir:rootfs", "a");
    let elsewhere = "umask 077; export TZ=Asia/Tokyo LC_ALL=tr_TR.UTF-8; SOURCE=dir:rootfs OUT=b";
    workshop.shell(&format!("{elsewhere}; taskset 1 {BUILD}")).said();
    assert_same(&workshop, &["a", "b"]);
}

#[test]
fn a_layout_is_kept_from_a_release_or_its_image() {
    let workshop = Workshop::of_a_machine();
    (0..300).for_each(|i| workshop.file(&format!("usr/share/{i}"), 0o644, &"x".repeat(i * 50)));
    build(&workshop, "dir:rootfs", "old");
    let after = |old: &str, out: &str| {
        workshop.shell(&format!("SOURCE=dir:rootfs OUT={out}; {BUILD} --layout-from {old}")).said()
    };
    after("old", "same");
    assert_same(&workshop, &["old", "same"]);

    workshop.file("usr/share/one-more", 0o644, &"y".repeat(5000));
    build(&workshop, "dir:rootfs", "canonical");
    after("old", "a");
    after("old/root.img", "b");
    assert_same(&workshop, &["a", "b"]);
    let moved = |way: &str| {
        let (old, new) = (workshop.read("old/root.img"), workshop.read(&format!("{way}/root.img")));
        old.chunks(4096).zip(new.chunks(4096)).filter(|(old, new)| old != new).count()
    };
    assert!(moved("a") * 10 < moved("canonical"), "{} {}", moved("a"), moved("canonical"));
    workshop.shell("fsck.erofs --extract a/root.img > log 2>&1").said();
}

/// Prepares `one` and `three`, layouts of the same tree in one layer and in three, with deletions,
/// replacements, holes and an opaque directory on the way.
const LAYERS: &str = r#"
    pack() { tar --create --numeric-owner --format=pax "$@"; }
    common="--mtime=@1000 --owner=3 --group=4 --sort=name"
    mkdir -p final/etc final/data first/etc first/data first/old second/etc second/old third/data
    echo one > final/etc/a; echo two > final/etc/b; echo kept > final/data/kept
    truncate -s 300000 final/data/sparse; echo end >> final/data/sparse
    cp final/etc/a first/etc/a; echo wrong > first/etc/b; echo gone > first/old/x
    echo hidden > first/data/hidden
    cp final/etc/b second/etc/b; : > second/.wh.old; rmdir second/old
    cp --sparse=never final/data/* third/data/; : > third/data/.wh..wh..opq
    chmod -R u=rwX,go=rX final first second third
    for name in first second third final; do
        sparse=; if [ $name = final ]; then sparse=--sparse; fi
        pack $sparse $common --exclude=$name/old/y --directory $name --file $name.tar .
    done
    for image in one three; do
        umoci init --layout $image; umoci new --image $image:latest
    done
    umoci raw add-layer --image one:latest final.tar
    for name in first second third; do umoci raw add-layer --image three:latest $name.tar; done
"#;

#[test]
fn layers_do_not_show() {
    let workshop = Workshop::new();
    workshop.shell(&format!("exec 2>&1; {LAYERS}")).said();
    build(&workshop, "oci:one:latest", "a");
    build(&workshop, "oci:three:latest", "b");
    let dump = |way| workshop.pintle(&format!("inspect {way}/root.img")).said();
    assert_eq!(dump("a"), dump("b"));
    assert_same(&workshop, &["a", "b"]);
}

/// The same as whoever runs this, and as nobody.
#[test]
fn nobody_builds_the_same_image_as_root() {
    let workshop = Workshop::new();
    workshop.shell(&format!("exec 2>&1; {LAYERS}")).said();
    build(&workshop, "oci:three:latest", "a");
    let nobody = "if [ $(id -u) = 0 ]; then
            chmod -R a+rX .; mkdir b; chown nobody b
            nobody='setpriv --reuid=nobody --regid=nogroup --clear-groups'
        fi";
    workshop
        .shell(&format!("{nobody}; SOURCE=oci:three:latest OUT=b; ${{nobody:-}} {BUILD}"))
        .said();
    assert_same(&workshop, &["a", "b"]);
    assert!(workshop.read("a/seal") == workshop.read("b/seal"));
}

/// Both own the files of their directory. Who is not root sees that they are root's in the image.
#[test]
fn a_directory_of_nobodys_gives_the_same_image_as_roots() {
    let workshop = Workshop::of_a_machine();
    workshop.shell("chmod -R a+rX .").said();
    build(&workshop, "dir:rootfs", "a");
    let dump = workshop.pintle("inspect a/root.img --json").json();
    let files = dump["image"]["files"].as_array().unwrap();
    assert!(!files.is_empty() && files.iter().all(|file| file["uid"] == 0 && file["gid"] == 0));
    let nobody = "if [ $(id -u) = 0 ]; then
            mkdir b; chown -hR nobody:nogroup b rootfs
            nobody='setpriv --reuid=nobody --regid=nogroup --clear-groups'
        fi";
    workshop.shell(&format!("{nobody}; SOURCE=dir:rootfs OUT=b; ${{nobody:-}} {BUILD}")).said();
    assert_same(&workshop, &["a", "b"]);
}
