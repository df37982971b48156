//! Trees that EROFS, or Linux, cannot hold.

use crate::zoo::Zoo;
use pintle_image::erofs::write::Layout;
use pintle_image::tree::{Body, Device, Inode};

fn refusal(zoo: &Zoo) -> String {
    Layout::of(&zoo.tree, [7; 16]).err().unwrap().to_string()
}

#[test]
fn extended_attributes_of_unknown_namespaces() {
    for name in ["system.nfs4_acl", "user", "user.", "system.posix_acl_access.more", "other.x"] {
        let mut zoo = Zoo::empty();
        let file = zoo.file("a/b", 0);
        zoo.set_xattr(file, name, 1);
        let expected = format!(
            "cannot store /a/b: EROFS has no namespace for extended attribute {name}; \
             remove it from the layer"
        );
        assert_eq!(refusal(&zoo), expected);
    }
}

#[test]
fn extended_attributes_that_are_too_large() {
    let mut zoo = Zoo::empty();
    let file = zoo.file("f", 0);
    zoo.set_xattr(file, "user.x", 65_536);
    let expected = "cannot store /f: extended attribute user.x is longer than Linux allows";
    assert_eq!(refusal(&zoo), expected);
    let many: Vec<_> = (0..5).map(|_| ("user.", 65_000)).collect();
    zoo.set_xattrs(file, &many);
    assert!(refusal(&zoo).contains("its extended attributes take 325040 bytes"));
}

#[test]
fn devices_that_linux_cannot_name() {
    for (major, minor) in [(4096, 0), (0, 1 << 20)] {
        let mut zoo = Zoo::empty();
        zoo.add("dev/x", Inode::new(0o600, Body::CharDevice(Device { major, minor })));
        let expected = format!("cannot store /dev/x: Linux has no device {major}:{minor}");
        assert_eq!(refusal(&zoo), expected);
    }
}
