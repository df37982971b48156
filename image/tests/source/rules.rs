//! image-spec layer.md, a sentence a test.

use pintle_image::tree::{Body, Device};

use crate::outcome::{merged, refused};
use crate::tarball::Member;

fn file(name: &str) -> Member {
    Member::file(name, name)
}

fn directory(name: &str) -> Member {
    Member::directory(name)
}

#[test]
fn whiteouts_hide_what_lower_layers_have() {
    let lower = vec![directory("a"), file("a/b"), file("a/c"), file("d")];
    let image = merged([lower, vec![file("a/.wh.b"), file(".wh.d")]]);
    assert_eq!(image.names(), ["a", "a/c"]);
}

#[test]
fn a_whiteout_of_a_directory_hides_all_below_it() {
    let image = merged([vec![file("a/b/c/d"), file("a/x")], vec![file("a/.wh.b")]]);
    assert_eq!(image.names(), ["a", "a/x"]);
}

#[test]
fn a_whiteout_does_not_hide_what_its_own_layer_brings() {
    let whiteout = || file("a/.wh.b");
    let new = || Member::file("a/b", "new");
    for layer in [vec![whiteout(), new()], vec![new(), whiteout()]] {
        let image = merged([vec![file("a/b")], layer]);
        assert_eq!(image.read("a/b"), b"new");
    }
}

#[test]
fn a_directory_that_is_whited_out_and_comes_again_is_a_new_one() {
    let lower = || vec![directory("a").mode(0o700), file("a/old")];
    let again = || directory("a").mode(0o711);
    for upper in [
        vec![file(".wh.a"), again(), file("a/new")],
        vec![again(), file("a/new"), file(".wh.a")],
        vec![file("a/new"), file(".wh.a"), again()],
    ] {
        let image = merged([lower(), upper]);
        assert_eq!(image.names(), ["a", "a/new"]);
        assert_eq!(image.inode("a").mode, 0o711);
    }
}

#[test]
fn the_parents_of_what_is_whited_out_and_comes_again_are_implied() {
    let lower = vec![directory("a").mode(0o700), file("a/old")];
    let image = merged([lower, vec![file("a/new"), file(".wh.a")]]);
    assert_eq!(image.names(), ["a", "a/new"]);
    assert_eq!(image.inode("a").mode, 0o755);
}

/// The example of layer.md, "Opaque Whiteout", in both orders.
#[test]
fn an_opaque_whiteout_hides_only_what_lower_layers_have() {
    let lower = || vec![directory("bin"), file("bin/my-app-binary"), file("bin/tools/old")];
    let opaque = || file("bin/.wh..wh..opq");
    let new = || file("bin/tools/my-app-tool");
    for upper in [vec![opaque(), new()], vec![new(), opaque()]] {
        let image = merged([lower(), upper]);
        assert_eq!(image.names(), ["bin", "bin/tools", "bin/tools/my-app-tool"]);
    }
}

#[test]
fn an_opaque_whiteout_leaves_the_directory_itself_as_it_is() {
    let lower = vec![directory("a").mode(0o1777).owner(3, 4).mtime(5), file("a/b")];
    let image = merged([lower, vec![file("a/.wh..wh..opq")]]);
    let a = image.inode("a");
    assert_eq!((a.mode, a.uid, a.gid, a.mtime), (0o1777, 3, 4, 5));
    assert_eq!(image.names(), ["a"]);
}

#[test]
fn an_opaque_whiteout_of_the_root_starts_anew() {
    let image = merged([vec![file("a/b"), file("c")], vec![file("d"), file(".wh..wh..opq")]]);
    assert_eq!(image.names(), ["d"]);
}

#[test]
fn whiteouts_of_what_is_not_there_hide_nothing() {
    let upper = vec![file(".wh.x"), file("no/such/.wh.y"), file("z/.wh..wh..opq"), file("f/.wh.y")];
    let image = merged([vec![file("f")], upper]);
    assert_eq!(image.names(), ["f"]);
}

#[test]
fn whiteouts_of_the_lowest_layer_hide_nothing() {
    let image = merged([vec![file(".wh.a"), file("a"), file(".wh..wh..opq")]]);
    assert_eq!(image.names(), ["a"]);
}

#[test]
fn a_whiteout_counts_for_all_lower_layers_and_no_higher_one() {
    let image = merged([vec![file("a")], vec![file("b")], vec![file(".wh.a")], vec![file("a")]]);
    assert_eq!(image.names(), ["a", "b"]);
}

#[test]
fn a_whiteout_may_be_of_any_type() {
    let upper = vec![Member::hardlink(".wh.a", ".wh..wh.aufs"), directory(".wh.b/")];
    assert_eq!(merged([vec![file("a"), file("b"), file("c")], upper]).names(), ["c"]);
}

#[test]
fn a_whiteout_is_found_through_a_symlink_of_a_lower_layer() {
    let lower = vec![file("usr/lib/a"), file("usr/lib/b"), Member::symlink("lib", "usr/lib")];
    let image = merged([lower, vec![file("lib/.wh.a")]]);
    assert_eq!(image.names(), ["lib", "usr", "usr/lib", "usr/lib/b"]);
}

/// As overlayfs makes it when a symlink becomes a directory; following would empty /usr/lib.
#[test]
fn a_whiteout_in_what_replaces_a_symlink_does_not_reach_through_it() {
    let opaque = || file("lib/.wh..wh..opq");
    for upper in [vec![directory("lib"), opaque()], vec![opaque(), directory("lib")]] {
        let lower = vec![file("usr/lib/a"), Member::symlink("lib", "usr/lib")];
        let image = merged([lower, upper]);
        assert_eq!(image.names(), ["lib", "usr", "usr/lib", "usr/lib/a"]);
        assert!(image.inode("lib").is_directory());
    }
}

#[test]
fn a_directory_that_comes_again_keeps_its_files_and_takes_the_attributes() {
    let lower = vec![directory("a").pax("SCHILY.xattr.user.old", "1"), file("a/b")];
    let again = directory("a").mode(0o2750).owner(7, 8).mtime(9);
    let image = merged([lower, vec![again.pax("SCHILY.xattr.user.new", "2")]]);
    let a = image.inode("a");
    assert_eq!((a.mode, a.uid, a.gid, a.mtime), (0o2750, 7, 8, 9));
    assert_eq!(image.xattr("a", "user.old"), None);
    assert_eq!(image.xattr("a", "user.new").unwrap(), b"2");
    assert_eq!(image.names(), ["a", "a/b"]);
}

#[test]
fn a_file_takes_the_place_of_whatever_was_there() {
    let old: [fn(&str) -> Member; 5] = [
        file,
        directory,
        |name| Member::symlink(name, "elsewhere"),
        |name| Member::of(b'6', name),
        |name| Member::of(b'3', name).device(1, 3),
    ];
    for old in old {
        let image = merged([vec![old("a")], vec![Member::file("a", "new").mode(0o600)]]);
        assert_eq!((image.read("a"), image.inode("a").mode), (b"new".to_vec(), 0o600));
    }
}

#[test]
fn a_directory_takes_the_place_of_a_file_or_a_symlink() {
    let lower = vec![file("a"), file("d/x"), Member::symlink("b", "d")];
    let image = merged([lower, vec![directory("a"), directory("b"), file("b/y")]]);
    assert_eq!(image.names(), ["a", "b", "b/y", "d", "d/x"]);
}

#[test]
fn a_file_takes_the_place_of_a_directory_and_all_below_it() {
    let image = merged([vec![file("a/b/c")], vec![file("a")]]);
    assert_eq!(image.names(), ["a"]);
}

#[test]
fn of_one_name_in_a_layer_the_last_entry_stays() {
    let image = merged([vec![file("a/b"), Member::file("a", "1"), Member::file("a", "2")]]);
    assert_eq!((image.names(), image.read("a")), (vec!["a".to_owned()], b"2".to_vec()));
}

#[test]
fn parents_that_no_entry_declares_are_roots_of_1970() {
    let image = merged([vec![file("a/b/c").owner(5, 6).mtime(7)]]);
    for path in ["a", "a/b"] {
        let implied = image.inode(path);
        assert_eq!((implied.mode, implied.uid, implied.gid, implied.mtime), (0o755, 0, 0, 0));
    }
}

#[test]
fn parents_may_be_declared_after_what_is_in_them() {
    let image = merged([vec![file("a/b"), directory("a").mode(0o711)]]);
    assert_eq!((image.names().len(), image.inode("a").mode), (2, 0o711));
}

#[test]
fn the_root_has_attributes_too() {
    for name in ["./", "."] {
        let image = merged([vec![directory(name).mode(0o700).owner(1, 2).mtime(3)]]);
        let root = image.tree.inode(image.tree.root());
        assert_eq!((root.mode, root.uid, root.gid, root.mtime), (0o700, 1, 2, 3));
    }
}

#[test]
fn an_entry_whose_parent_is_a_symlink_goes_where_it_leads_but_never_out() {
    let lower = vec![
        directory("usr/lib"),
        Member::symlink("lib", "usr/lib"),
        Member::symlink("abs", "/usr"),
        Member::symlink("out", "../../../usr"),
        Member::symlink("gone", "not/there"),
    ];
    let upper = vec![file("lib/1"), file("abs/2"), file("out/3"), file("gone/4")];
    let image = merged([lower, upper]);
    for path in ["usr/lib/1", "usr/2", "usr/3", "not/there/4"] {
        assert!(image.tree.lookup(path).is_some(), "{path}");
    }
}

#[test]
fn an_entrys_own_name_is_not_followed() {
    let lower = vec![file("target"), Member::symlink("link", "target")];
    let image = merged([lower, vec![Member::file("link", "new")]]);
    assert_eq!((image.read("target"), image.read("link")), (b"target".to_vec(), b"new".to_vec()));
}

#[test]
fn a_hardlink_is_one_more_name() {
    let image =
        merged([vec![file("a"), Member::hardlink("d/b", "a"), Member::hardlink("c", "d/b")]]);
    assert_eq!(image.links("a"), 3);
    assert_eq!(image.tree.lookup("a"), image.tree.lookup("c"));
}

#[test]
fn a_hardlink_may_be_to_a_file_of_a_lower_layer() {
    let image = merged([vec![file("a").mode(0o4711)], vec![Member::hardlink("b", "./a").mode(0)]]);
    assert_eq!((image.links("a"), image.inode("b").mode), (2, 0o4711));
}

#[test]
fn a_hardlink_is_to_what_stands_there_at_that_point_of_the_layer() {
    let upper =
        vec![Member::hardlink("old", "a"), Member::file("a", "new"), Member::hardlink("b", "a")];
    let image = merged([vec![Member::file("a", "old")], upper]);
    assert_eq!((image.read("old"), image.read("b")), (b"old".to_vec(), b"new".to_vec()));
    assert_eq!((image.links("old"), image.links("a")), (1, 2));
}

#[test]
fn a_hardlink_outlives_its_other_names() {
    let image = merged([vec![file("a"), Member::hardlink("b", "a")], vec![file(".wh.a")]]);
    assert_eq!((image.names(), image.links("b")), (vec!["b".to_owned()], 1));
    assert_eq!(image.read("b"), b"a");
}

#[test]
fn a_hardlink_to_a_symlink_is_the_symlink() {
    let image = merged([vec![Member::symlink("s", "nowhere"), Member::hardlink("t", "s")]]);
    assert_eq!((image.target("t"), image.links("s")), (b"nowhere".to_vec(), 2));
}

#[test]
fn a_hardlinks_parents_may_be_symlinks() {
    let lower = vec![file("usr/lib/a"), Member::symlink("lib", "usr/lib")];
    let image = merged([lower, vec![Member::hardlink("lib/b", "lib/a")]]);
    assert_eq!(image.links("usr/lib/b"), 2);
}

#[test]
fn a_hardlink_to_itself_changes_nothing() {
    let image = merged([vec![file("a")], vec![Member::hardlink("a", "a")]]);
    assert_eq!((image.read("a"), image.links("a")), (b"a".to_vec(), 1));
}

#[test]
fn a_hardlink_to_what_its_own_layer_whited_out_is_refused() {
    let refusal = refused([vec![file("a")], vec![Member::hardlink("b", "a"), file(".wh.a")]]);
    assert!(refusal.ends_with("entry b: hardlink to a: no such file"), "{refusal}");
}

#[test]
fn devices_and_pipes_are_what_they_are() {
    let image = merged([vec![
        Member::of(b'3', "null").device(1, 3).mode(0o666),
        Member::of(b'4', "disk").device(259, 0xf_ffff),
        Member::of(b'6', "pipe").owner(1, 2),
        Member::of(b'3', "zero-zero"),
    ]]);
    let device = |major, minor| Device { major, minor };
    assert!(matches!(&image.inode("null").body, Body::CharDevice(d) if *d == device(1, 3)));
    assert!(
        matches!(&image.inode("disk").body, Body::BlockDevice(d) if *d == device(259, 0xf_ffff))
    );
    assert!(matches!(&image.inode("pipe").body, Body::Fifo));
    assert!(matches!(&image.inode("zero-zero").body, Body::CharDevice(d) if *d == device(0, 0)));
}

#[test]
fn links_of_directories_count_their_subdirectories() {
    let lower = vec![directory("a/b"), directory("a/c"), file("a/d")];
    let image = merged([lower, vec![file("a/.wh.c"), directory("a/e/f")]]);
    assert_eq!((image.links("a"), image.links("a/e"), image.links("a/e/f")), (4, 3, 2));
}

#[test]
fn no_layers_are_an_empty_image() {
    let image = merged([]);
    assert_eq!(image.names(), [""; 0]);
    assert_eq!(merged([vec![], vec![]]).names(), [""; 0]);
}
