//! What `inspect` shows, to the letter.

use crate::written::Written;
use crate::zoo::Zoo;
use pintle_image::inspect::{Depth, report};
use pintle_image::tree::{Body, Device, Inode};

#[test]
fn an_image_as_text() {
    let written = written();
    let report = report(written.open(), Depth::Attributes).unwrap();
    assert_eq!(format!("{report}"), include_str!("inspected.txt"));
}

#[test]
fn an_image_as_json() {
    let written = written();
    let report = report(written.open(), Depth::Contents).unwrap();
    let json = serde_json::to_string_pretty(&report).unwrap();
    assert_eq!(json + "\n", include_str!("inspected.json"));
}

fn written() -> Written {
    let mut zoo = Zoo::empty();
    let null = Inode::new(0o666, Body::CharDevice(Device { major: 1, minor: 3 }));
    zoo.add("dev/null", null);
    let passwd = zoo.tree.write_file("etc/passwd", 0o644, b"root:x:0:0\n", &zoo.spool).unwrap();
    zoo.tree.link(zoo.tree.root(), b"again", passwd).unwrap();
    let times = Inode { mtime: 1_700_000_000, mtime_nanos: 5, uid: 7, gid: 8, ..link("../x") };
    zoo.add("etc/link", times);
    zoo.add("etc/far", Inode { mtime: i64::MAX, ..link("b\x1b[31m") });
    let ping = zoo.file("usr/bin/ping", 10);
    zoo.set_xattrs(ping, &[("security.capability", 20)]);
    zoo.add("empty", Inode::new(0o1777, Body::Directory(Default::default())));
    Written::new(&zoo.tree, &zoo.spool)
}

fn link(target: &str) -> Inode {
    Inode::new(0o777, Body::Symlink(target.as_bytes().into()))
}
