//! What tar headers can say, in each of the ways in which they can say it.

use pintle_image::tree::{Body, Extent};

use crate::outcome::{Outcome, merged, merged_bytes};
use crate::tarball::{Member, base_256, octal, tar};

fn extents(image: &Outcome, path: &str) -> Vec<(u64, u64)> {
    match &image.inode(path).body {
        Body::File(content) => {
            content.extents.iter().map(|Extent { offset, length, .. }| (*offset, *length)).collect()
        }
        other => panic!("{path} is {other:?}"),
    }
}

#[test]
fn long_names_by_gnu_and_by_pax_and_by_prefix() {
    let long = format!("{}/{}", "d".repeat(200), "f".repeat(255));
    let split = |header: &mut crate::tarball::Header| {
        header.tail = "p".repeat(150).into_bytes();
    };
    let image = merged([vec![
        Member::file("short", "gnu").gnu_long(b'L', &long),
        Member::file("short", "pax").pax("path", long.replace('f', "g")),
        Member::file("name", "prefix").with(split),
        Member::file("both", "both").pax("path", "agree").gnu_long(b'L', "agree"),
    ]]);
    assert_eq!(image.read(&long), b"gnu");
    assert_eq!(image.read(&long.replace('f', "g")), b"pax");
    assert_eq!(image.read(&format!("{}/name", "p".repeat(150))), b"prefix");
    assert_eq!(image.read("agree"), b"both");
}

#[test]
fn a_name_that_fills_its_field_has_no_nul() {
    let name = "n".repeat(100);
    assert_eq!(merged([vec![Member::file(&name, "x")]]).read(&name), b"x");
}

#[test]
fn long_link_targets_by_gnu_and_by_pax() {
    let long = "t/".repeat(1000);
    let image = merged([vec![
        Member::symlink("gnu", "cut").gnu_long(b'K', &long),
        Member::symlink("pax", "cut").pax("linkpath", &long),
    ]]);
    assert_eq!(image.target("gnu"), long.as_bytes());
    assert_eq!(image.target("pax"), long.as_bytes());
}

#[test]
fn names_and_targets_are_bytes() {
    let image = merged([vec![Member::symlink(b"\xff\xfe\n", b"\x80/\xff\t")]]);
    let id = image.tree.lookup(b"\xff\xfe\n").unwrap();
    assert!(matches!(&image.tree.inode(id).body, Body::Symlink(t) if **t == *b"\x80/\xff\t"));
}

#[test]
fn large_ids_in_base_256_and_in_pax() {
    let large = 4_294_967_294_u64;
    let image = merged([vec![
        Member::file("base", "")
            .with(|h| (h.uid, h.gid) = (base_256(large.into()), base_256(70_000))),
        Member::file("pax", "").pax("uid", large.to_string()).pax("gid", "70000"),
    ]]);
    for path in ["base", "pax"] {
        let inode = image.inode(path);
        assert_eq!((u64::from(inode.uid), inode.gid), (large, 70_000), "{path}");
    }
}

#[test]
fn times_before_1970_and_between_seconds() {
    let time = |path, image: &Outcome| (image.inode(path).mtime, image.inode(path).mtime_nanos);
    let image = merged([vec![
        Member::file("base", "").with(|h| h.mtime = base_256(-2)),
        Member::file("far", "").with(|h| h.mtime = base_256(1 << 40)),
        Member::file("pax", "").pax("mtime", "-1.25"),
        Member::file("nano", "").pax("mtime", "1700000000.123456789"),
        Member::file("octal", "").with(|h| h.mtime = *b"777777777777"),
    ]]);
    assert_eq!(time("base", &image), (-2, 0));
    assert_eq!(time("far", &image), (1 << 40, 0));
    assert_eq!(time("pax", &image), (-2, 750_000_000));
    assert_eq!(time("nano", &image), (1_700_000_000, 123_456_789));
    assert_eq!(time("octal", &image), ((1 << 36) - 1, 0));
}

#[test]
fn extended_attributes_are_bytes() {
    // VFS_CAP_REVISION_2, cap_net_raw: what setcap writes for ping.
    let capability = b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let image = merged([vec![
        Member::file("ping", "").pax("SCHILY.xattr.security.capability", capability),
        Member::file("odd", "")
            .pax("SCHILY.xattr.user.empty", "")
            .pax("SCHILY.xattr.user.newline", "a\n12 b=c\n")
            .pax("SCHILY.xattr.user.twice", "1")
            .pax("SCHILY.xattr.user.twice", "2"),
    ]]);
    assert_eq!(image.xattr("ping", "security.capability").unwrap(), capability);
    assert_eq!(image.xattr("odd", "user.empty").unwrap(), b"");
    assert_eq!(image.xattr("odd", "user.newline").unwrap(), b"a\n12 b=c\n");
    assert_eq!(image.xattr("odd", "user.twice").unwrap(), b"2");
}

#[test]
fn a_size_in_pax_counts_and_the_headers_does_not() {
    let shown = Member::file("a", "hidden?").stated_size(0).pax("size", "7");
    let image = merged([vec![shown, Member::file("b", "")]]);
    assert_eq!(
        (image.names(), image.read("a")),
        (vec!["a".into(), "b".into()], b"hidden?".to_vec())
    );
}

#[test]
fn a_size_in_pax_is_not_that_of_the_long_name_behind_it() {
    let member = Member::file("short", "data").stated_size(0).pax("size", "4");
    let image = merged([vec![member.gnu_long(b'L', "long")]]);
    assert_eq!(image.read("long"), b"data");
}

#[test]
fn a_mode_may_have_the_type_in_it() {
    let image = merged([vec![Member::file("a", "").mode(0o104_755)]]);
    assert_eq!(image.inode("a").mode, 0o4755);
}

#[test]
fn headers_from_before_posix() {
    let old = |member: Member| member.with(|h| (h.kind, h.magic) = (0, [0; 8]));
    let image = merged([vec![
        old(Member::file("a", "old")),
        old(Member::of(0, "d/")).mode(0o700),
        Member::file("c", "contiguous").with(|h| h.kind = b'7'),
    ]]);
    assert_eq!((image.read("a"), image.read("c")), (b"old".to_vec(), b"contiguous".to_vec()));
    assert!(image.inode("d").is_directory());
}

#[test]
fn a_global_header_with_a_comment_is_passed_over() {
    let comment = Member::file("pax_global_header", b"12 comment=\n").with(|h| h.kind = b'g');
    assert_eq!(merged([vec![comment, Member::file("a", "")]]).names(), ["a"]);
}

fn old_gnu(map: &[(u64, u64)], size: u64, more: u8) -> Vec<u8> {
    let mut tail = vec![0; 41];
    for (offset, length) in map {
        tail.extend(octal::<12>(*offset));
        tail.extend(octal::<12>(*length));
    }
    tail.resize(137, 0);
    tail.push(more);
    tail.extend(octal::<12>(size));
    tail
}

#[test]
fn sparse_files_in_the_old_gnu_format() {
    let with = |tail| {
        move |h: &mut crate::tarball::Header| {
            (h.kind, h.magic, h.tail) = (b'S', *b"ustar  \0", tail);
        }
    };
    let few = Member::file("few", "abcdef").with(with(old_gnu(&[(1000, 4), (2000, 2)], 3000, 0)));
    let runs: Vec<_> = (0..4).map(|i| (i * 100, 1)).collect();
    let mut more: Vec<u8> =
        (4..6).flat_map(|i| [octal::<12>(i * 100), octal::<12>(1)].concat()).collect();
    more.resize(512, 0);
    let many = Member::file("many", [&more[..], b"uvwxyz"].concat())
        .stated_size(6)
        .with(with(old_gnu(&runs, 501, 1)));
    let image = merged([vec![few, many, Member::file("after", "")]]);
    assert_eq!(extents(&image, "few"), [(1000, 4), (2000, 2)]);
    let few = image.read("few");
    assert_eq!(
        (few.len(), &few[1000..1004], &few[2000..2002], few[999]),
        (3000, &b"abcd"[..], &b"ef"[..], 0)
    );
    let many = image.read("many");
    assert_eq!(many.iter().step_by(100).copied().collect::<Vec<_>>(), b"uvwxyz");
    assert_eq!(image.names(), ["after", "few", "many"]);
}

#[test]
fn sparse_files_in_the_three_pax_formats() {
    let zero = Member::file("0", "abcd")
        .pax("GNU.sparse.size", "100")
        .pax("GNU.sparse.numblocks", "2")
        .pax("GNU.sparse.offset", "10")
        .pax("GNU.sparse.numbytes", "3")
        .pax("GNU.sparse.offset", "50")
        .pax("GNU.sparse.numbytes", "1");
    let one = Member::file("GNUSparseFile.0/1", "abcd")
        .pax("GNU.sparse.name", "1")
        .pax("GNU.sparse.size", "100")
        .pax("GNU.sparse.numblocks", "3")
        .pax("GNU.sparse.map", "10,3,50,1,100,0");
    let mut data = b"3\n10\n3\n50\n1\n100\n0\n".to_vec();
    data.resize(512, 0);
    data.extend(b"abcd");
    let two = Member::file("GNUSparseFile.0/2", data)
        .pax("GNU.sparse.major", "1")
        .pax("GNU.sparse.minor", "0")
        .pax("GNU.sparse.name", "2")
        .pax("GNU.sparse.realsize", "100");
    let image = merged([vec![zero, one, two]]);
    assert_eq!(image.names(), ["0", "1", "2"]);
    for path in ["0", "1", "2"] {
        assert_eq!(extents(&image, path), [(10, 3), (50, 1)], "{path}");
        let bytes = image.read(path);
        assert_eq!(
            (bytes.len(), &bytes[9..14], &bytes[49..52]),
            (100, &b"\0abc\0"[..], &b"\0d\0"[..])
        );
    }
}

#[test]
fn a_file_of_nothing_but_a_hole() {
    let hole =
        Member::file("h", "").pax("GNU.sparse.size", "1000000").pax("GNU.sparse.map", "1000000,0");
    let image = merged([vec![hole]]);
    assert_eq!((extents(&image, "h"), image.read("h")), (vec![], vec![0; 1_000_000]));
}

#[test]
fn an_archive_may_end_without_zeros_and_go_on_behind_them() {
    let entry = Member::file("a", "x").bytes();
    for tail in [0, 512, 1024, 10_240] {
        let bytes = [&entry[..], &vec![0; tail]].concat();
        assert_eq!(merged_bytes(&[bytes]).unwrap().names(), ["a"], "{tail} zeros");
    }
    let behind = [tar([Member::file("a", "x")]), Member::file("b", "x").bytes()].concat();
    assert_eq!(merged_bytes(&[behind]).unwrap().names(), ["a"]);
}

#[test]
fn data_of_every_length_around_blocks_and_chunks() {
    let sizes = [
        0,
        1,
        511,
        512,
        513,
        4095,
        4096,
        4097,
        (256 << 10) - 512,
        256 << 10,
        (256 << 10) + 1,
        1 << 20,
    ];
    let data = |size: usize| (0..size).map(|i| (i * 7 % 253) as u8).collect::<Vec<_>>();
    let members = sizes.map(|size| Member::file(size.to_string(), data(size)));
    let image = merged([members.to_vec()]);
    for size in sizes {
        assert!(image.read(&size.to_string()) == data(size), "{size} bytes");
    }
}
