//! Layers that somebody made to hurt. Each ends in an error that names the layer, where in it, the
//! entry and the crime.

use std::io::Write;

use pintle_image::layer::{Compression, Layer, Limits};
use pintle_verify::Digest;

use crate::outcome::{blob, merge_layers, merged_bytes, merged_within, plain_layer, refused};
use crate::tarball::{Member, base_256, octal, tar};

/// A crime: its name, the evidence, and what is said about it.
struct Crime {
    name: &'static str,
    layer: Vec<Member>,
    said: &'static str,
}

fn crime(name: &'static str, layer: Vec<Member>, said: &'static str) -> Crime {
    Crime { name, layer, said }
}

fn file(name: impl AsRef<[u8]>) -> Member {
    Member::file(name, "")
}

/// All of these come after a good entry of two blocks, so the offset is 1024.
fn convict(crimes: Vec<Crime>) {
    for Crime { name, layer, said } in crimes {
        let good = Member::file("good", "x");
        let refusal = refused([std::iter::once(good).chain(layer).collect()]);
        let said = format!("): at byte 1024{said}");
        assert!(refusal.starts_with("cannot read layer 1 of 1 (sha256:"), "{name}: {refusal}");
        assert!(refusal.ends_with(&said), "{name}: {refusal}\nnot: {said}");
    }
}

#[test]
fn names_that_lead_elsewhere() {
    convict(vec![
        crime("parent", vec![file("../x")], ", entry ../x: the name has a component '..'"),
        crime(
            "detour",
            vec![file("a/../../x")],
            ", entry a/../../x: the name has a component '..'",
        ),
        crime("absolute", vec![file("/etc/x")], ", entry /etc/x: the name is absolute"),
        crime("empty", vec![file("")], ", entry : the name is empty"),
        crime(
            "empty-component",
            vec![file("a//b")],
            ", entry a//b: the name has an empty component",
        ),
        crime("dot", vec![file("a/./b")], ", entry a/./b: the name has a component '.'"),
        crime("nul", vec![file("x").pax("path", b"a\0b")], ": the name has a NUL in it"),
        crime("nul-gnu", vec![file("x").gnu_long(b'L', b"a\0b")], ": the name has a NUL in it"),
        crime(
            "root-file",
            vec![file("./")],
            ", entry ./: the name is the root's, but the entry is no directory",
        ),
        crime(
            "slash",
            vec![file("a/")],
            ", entry a/: the name ends in a slash, but the entry is no directory",
        ),
    ]);
}

#[test]
fn names_too_long_for_linux() {
    let long_name = "n".repeat(256);
    let long_path = "p/".repeat(2048) + "p";
    let huge = "p".repeat(5000);
    for (name, said) in [
        (&long_name, "the name has a component longer than 255 bytes"),
        (&long_path, "the name is longer than 4095 bytes"),
    ] {
        let refusal = refused([vec![file("x").pax("path", name)]]);
        assert!(refusal.ends_with(said), "{refusal}");
    }
    let refusal = refused([vec![file("x").gnu_long(b'L', &huge)]]);
    assert!(
        refusal.ends_with("at byte 0: a long name of 5001 bytes, the limit is 4096"),
        "{refusal}"
    );
    let target = refused([vec![Member::symlink("s", "").pax("linkpath", &huge)]]);
    assert!(
        target.ends_with("the name of the symlink's target is longer than 4095 bytes"),
        "{target}"
    );
}

#[test]
fn links_that_lead_elsewhere() {
    let link = |target: &str| vec![Member::hardlink("l", target)];
    convict(vec![
        crime("parent", link("../x"), ", entry l: the name has a component '..'"),
        crime("absolute", link("/etc/x"), ", entry l: the name is absolute"),
        crime("nothing", link(""), ", entry l: the name is empty"),
        crime("missing", link("x"), ", entry l: hardlink to x: no such file"),
        crime("root", link("."), ", entry l: the name of the link's target is not a file's"),
        crime(
            "whiteout",
            link(".wh.a"),
            ", entry l: the name of the link's target is not a file's",
        ),
        crime("itself", link("l"), ", entry l: hardlink to l: no such file"),
        crime(
            "no-target",
            vec![Member::symlink("s", "")],
            ", entry s: the name of the symlink's target is empty",
        ),
    ]);
}

#[test]
fn hardlinks_to_directories_and_through_files() {
    let directory = refused([vec![Member::directory("d"), Member::hardlink("l", "d")]]);
    assert!(directory.ends_with("entry l: hardlink to d: it is a directory"), "{directory}");
    let through = refused([vec![file("f"), Member::hardlink("l", "f/x")]]);
    assert!(through.ends_with("entry l: hardlink to f/x: no such file"), "{through}");
    let inside = refused([vec![file("d/f"), Member::hardlink("d", "d/f")]]);
    assert!(inside.ends_with("entry d: hardlink to d/f: no such file"), "{inside}");
}

#[test]
fn parents_that_are_no_directories() {
    for (layer, said) in [
        (vec![file("f"), file("f/x")], "entry f/x: something on the way is not a directory"),
        (
            vec![Member::symlink("a", "b"), Member::symlink("b", "a"), file("a/x")],
            "entry a/x: more than 40 symlinks on the way",
        ),
        (
            vec![Member::symlink("a", "gone/../b"), file("a/x")],
            "entry a/x: a symlink on the way leads nowhere",
        ),
    ] {
        let refusal = refused([layer]);
        assert!(refusal.ends_with(said), "{refusal}");
    }
}

#[test]
fn symlinks_never_lead_out_of_the_tree() {
    let up = "../".repeat(20);
    let layer = tar([
        Member::symlink("evil", format!("{up}tmp")),
        Member::symlink("root", "/"),
        file("evil/x"),
        file("root/root/root/y"),
    ]);
    assert_eq!(merged_bytes(&[layer]).unwrap().names(), ["evil", "root", "tmp", "tmp/x", "y"]);
}

#[test]
fn whiteouts_that_mean_nothing_or_too_much() {
    convict(vec![
        crime("bare", vec![file(".wh.")], ", entry .wh.: whiteout: of nothing"),
        crime("bare-below", vec![file("a/.wh.")], ", entry a/.wh.: whiteout: of nothing"),
        crime("dot", vec![file("a/.wh..")], ", entry a/.wh..: whiteout: of the directory itself"),
        crime(
            "dot-dot",
            vec![file("a/.wh...")],
            ", entry a/.wh...: whiteout: of the directory itself",
        ),
        crime("below", vec![file(".wh.a/b")], ", entry .wh.a/b: whiteout: with files beneath it"),
    ]);
}

#[test]
fn sizes_that_lie() {
    let sized = |size: u64| Member::file("a", "x").stated_size(size);
    convict(vec![
        crime("too-much", vec![sized(100_000)], ", entry a: the bytes end inside an entry's data"),
        crime(
            "octal-max",
            vec![sized(0o77777777777)],
            ", entry a: the bytes end inside an entry's data",
        ),
        crime(
            "directory",
            vec![Member::directory("d").stated_size(512)],
            ", entry d: an entry of this type holds no data",
        ),
        crime(
            "symlink",
            vec![Member::symlink("s", "t").stated_size(1)],
            ", entry s: an entry of this type holds no data",
        ),
        crime(
            "hardlink",
            vec![Member::hardlink("l", "good").stated_size(1)],
            ", entry l: an entry of this type holds no data",
        ),
        crime(
            "pipe",
            vec![Member::of(b'6', "p").pax("size", "1024")],
            ", entry p: an entry of this type holds no data",
        ),
        crime(
            "negative",
            vec![sized(0).with(|h| h.size = base_256(-512))],
            ", entry a: size is out of range",
        ),
        crime(
            "64-bit",
            vec![sized(0).with(|h| h.size = base_256(1 << 63))],
            ", entry a: size is out of range",
        ),
        crime(
            "96-bit",
            vec![sized(0).with(|h| h.size = base_256(1 << 80))],
            ", entry a: size is out of range",
        ),
        crime(
            "pax-huge",
            vec![sized(0).pax("size", u64::MAX.to_string())],
            ", entry a: size is out of range",
        ),
        crime(
            "pax-text",
            vec![sized(0).pax("size", "1x")],
            ": PAX header: a value that is not a number",
        ),
        crime(
            "pax-negative",
            vec![sized(0).pax("size", "-1")],
            ": PAX header: a value that is not a number",
        ),
    ]);
}

/// CVE-2025-62518: a reader that skips by the header's size would see the inner archive's entries.
#[test]
fn an_archive_inside_a_file_stays_inside() {
    let inner = tar([file("smuggled")]);
    let outer = Member::file("outer", &inner).stated_size(0).pax("size", inner.len().to_string());
    let image = merged_bytes(&[tar([outer, file("after")])]).unwrap();
    assert_eq!(image.names(), ["after", "outer"]);
}

#[test]
fn headers_that_contradict_each_other() {
    let again = |member: Member| member.pax("path", "b");
    let pax = || Member::file("PaxHeader", b"12 comment=\n").with(|h| h.kind = b'x');
    let long = |name: &str| Member::file("L", name).with(|h| h.kind = b'L');
    convict(vec![
        crime(
            "two-names",
            vec![again(file("a")).gnu_long(b'L', "c")],
            ": a name twice for one entry",
        ),
        crime(
            "two-targets",
            vec![Member::symlink("a", "x").pax("linkpath", "b").gnu_long(b'K', "c")],
            ", entry a: a link target twice for one entry",
        ),
        crime("two-pax", vec![pax(), again(file("a"))], ": a PAX header twice for one entry"),
        crime(
            "two-long",
            vec![long("a"), long("b"), file("c")],
            ": a long name twice for one entry",
        ),
        crime("orphan-pax", vec![pax()], ": the entry that the last header describes is missing"),
        crime(
            "orphan-long",
            vec![long("a")],
            ": the entry that the last header describes is missing",
        ),
        crime(
            "global-path",
            vec![Member::file("g", b"10 path=a\n").with(|h| h.kind = b'g'), file("b")],
            ": a global PAX header sets path",
        ),
    ]);
}

#[test]
fn pax_headers_that_are_none() {
    convict(vec![
        crime(
            "length",
            vec![file("a").pax_bytes(b"99 path=b\n")],
            ": PAX header: a record's length is wrong",
        ),
        crime(
            "short",
            vec![file("a").pax_bytes(b"5 path=b\n")],
            ": PAX header: a record without its end",
        ),
        crime(
            "nothing",
            vec![file("a").pax_bytes(b"\0\0\0\0")],
            ": PAX header: a record without a length",
        ),
        crime(
            "trailing",
            vec![file("a").pax_bytes(b"9 path=b\n\0")],
            ": PAX header: a record without a length",
        ),
        crime(
            "xattr-name",
            vec![file("a").pax("SCHILY.xattr.", "x")],
            ": extended attribute: a name that is not 1 to 255 bytes",
        ),
        crime(
            "star-sparse",
            vec![file("a").pax("SCHILY.realsize", "1")],
            ": PAX header: sparse files as star writes them",
        ),
        crime(
            "mtime",
            vec![file("a").pax("mtime", "99999999999999999999")],
            ": PAX header: a value that is not a number",
        ),
    ]);
}

#[test]
fn a_pax_header_larger_than_what_could_be_in_it() {
    let refusal = refused([vec![file("a").pax("comment", "x".repeat(1 << 20))]]);
    assert!(refusal.contains("at byte 0: a PAX header of 10485"), "{refusal}");
}

#[test]
fn numbers_that_linux_has_no_room_for() {
    convict(vec![
        crime("uid", vec![file("a").pax("uid", "4294967295")], ", entry a: uid is out of range"),
        crime(
            "gid",
            vec![file("a").with(|h| h.gid = base_256(1 << 32))],
            ", entry a: gid is out of range",
        ),
        crime(
            "uid-negative",
            vec![file("a").with(|h| h.uid = base_256(-1))],
            ", entry a: uid is out of range",
        ),
        crime(
            "uid-text",
            vec![file("a").with(|h| h.uid = *b"root\0\0\0\0")],
            ", entry a: uid is not a number",
        ),
        crime(
            "major",
            vec![Member::of(b'3', "a").device(4096, 0)],
            ", entry a: device number is out of range",
        ),
        crime(
            "minor",
            vec![Member::of(b'3', "a").device(0, 1 << 20)],
            ", entry a: device number is out of range",
        ),
        crime(
            "mtime",
            vec![file("a").with(|h| h.mtime = base_256(1 << 70))],
            ", entry a: mtime is out of range",
        ),
    ]);
}

#[test]
fn entries_of_types_that_layers_do_not_have() {
    convict(vec![
        crime(
            "volume",
            vec![Member::of(b'V', "v")],
            ", entry v: entries of type 'V' have no place",
        ),
        crime(
            "multivolume",
            vec![Member::of(b'M', "m")],
            ", entry m: entries of type 'M' have no place",
        ),
        crime(
            "dumpdir",
            vec![Member::of(b'D', "d")],
            ", entry d: entries of type 'D' have no place",
        ),
        crime(
            "unknown",
            vec![Member::of(0xff, "u")],
            ", entry u: entries of type '\\xff' have no place",
        ),
        crime(
            "posix-sparse",
            vec![Member::of(b'S', "s")],
            ", entry s: entries of type 'S' have no place",
        ),
    ]);
}

#[test]
fn sparse_maps_that_lie() {
    let mapped = |size: &str, map: &str| {
        vec![Member::file("s", "abcd").pax("GNU.sparse.size", size).pax("GNU.sparse.map", map)]
    };
    convict(vec![
        crime(
            "overlap",
            mapped("100", "0,3,2,1"),
            ", entry s: sparse map: runs that overlap or are out of order",
        ),
        crime(
            "order",
            mapped("100", "50,2,10,2"),
            ", entry s: sparse map: runs that overlap or are out of order",
        ),
        crime(
            "past-end",
            mapped("10", "8,4"),
            ", entry s: sparse map: a run past the end of the file",
        ),
        crime(
            "more-than-stored",
            mapped("100", "0,5"),
            ", entry s: sparse map: the runs are not the data that is stored",
        ),
        crime(
            "less-than-stored",
            mapped("100", "0,3"),
            ", entry s: sparse map: the runs are not the data that is stored",
        ),
        crime("odd", mapped("100", "0"), ", entry s: sparse map: an offset without a length"),
        crime(
            "wraps",
            mapped("100", "18446744073709551615,4"),
            ", entry s: sparse offset is out of range",
        ),
        crime("no-number", mapped("100", "a,b"), ": sparse map: a number is missing"),
        crime(
            "endless",
            mapped("18446744073709551615", "0,4"),
            ", entry s: sparse map: a run past the end of the file",
        ),
        crime(
            "version",
            vec![
                file("s")
                    .pax("GNU.sparse.major", "2")
                    .pax("GNU.sparse.minor", "0")
                    .pax("GNU.sparse.realsize", "1"),
            ],
            ", entry s: sparse map: an unknown format",
        ),
        crime(
            "no-size",
            vec![file("s").pax("GNU.sparse.map", "0,0")],
            ", entry s: sparse map: the file's size is missing",
        ),
    ]);
}

#[test]
fn a_sparse_file_larger_than_the_image_may_be() {
    let huge = (64_u64 << 30) + 1;
    let member = file("s").pax("GNU.sparse.size", huge.to_string()).pax("GNU.sparse.map", "0,0");
    let refusal = refused([vec![member]]);
    assert!(refusal.ends_with("entry s: more than 68719476736 bytes unpacked"), "{refusal}");
}

#[test]
fn headers_that_are_damaged() {
    let mut bytes = tar([Member::file("good", "x"), file("bad")]);
    bytes[1024] ^= 1;
    let refusal = merged_bytes(&[bytes]).unwrap_err();
    assert!(refusal.ends_with("at byte 1024: the header's checksum is wrong"), "{refusal}");
}

#[test]
fn archives_that_are_cut() {
    let whole = tar([Member::file("a", [7; 2000]).pax("path", "b"), Member::file("c", "x")]);
    let entries = whole.len() - 1024;
    for length in 1..entries {
        let cut = merged_bytes(&[whole[..length].to_vec()]);
        let at_an_entry = length == entries - 1024;
        assert_eq!(cut.is_ok(), at_an_entry, "{length} bytes: {:?}", cut.err());
    }
}

fn limits() -> Limits {
    Limits::default()
}

#[test]
fn a_million_empty_entries_where_fewer_are_allowed() {
    let member = file("x").bytes();
    let layer = member.repeat(10_001);
    let refusal = merged_within(&[layer], Limits { entries: 10_000, ..limits() }).unwrap_err();
    let said = "at byte 5120000, entry x: more than 10000 entries";
    assert!(refusal.ends_with(said), "{refusal}");
}

#[test]
fn entries_of_all_layers_count_together() {
    let layer = file("x").bytes().repeat(6);
    let few = Limits { entries: 10, ..limits() };
    assert!(merged_within(&[layer.clone(), layer], few).is_err());
}

#[test]
fn a_few_deep_paths_that_imply_millions_of_directories() {
    let members = (0..100).map(|i| file("x").pax("path", format!("{i}/{}x", "d/".repeat(2000))));
    let refusal =
        merged_within(&[tar(members)], Limits { entries: 50_000, ..limits() }).unwrap_err();
    // An entry has a header for each of its halves, and eight blocks of PAX records.
    let said = format!("): at byte {}, entry 24/d/d/", 24 * 10 * 512);
    assert!(
        refusal.contains(&said) && refusal.ends_with("d/x (4004 bytes): more than 50000 files"),
        "{refusal}"
    );
}

#[test]
fn a_path_that_grows_by_a_symlink_to_itself() {
    let deep = "d/".repeat(1500);
    let mut members = vec![file("x").pax("path", format!("{deep}x"))];
    members.push(Member::symlink("s", "").pax("linkpath", &deep));
    members.push(file("x").pax("path", format!("s/{deep}x")));
    let refusal = refused([members]);
    assert!(refusal.ends_with("the directory's real path is longer than 4095 bytes"), "{refusal}");
}

#[test]
fn names_and_attributes_that_fill_the_memory() {
    let fat = |i: usize| file(i.to_string()).pax("SCHILY.xattr.user.a", vec![i as u8; 65_536]);
    let few = Limits { metadata: 1 << 20, ..limits() };
    let refusal = merged_within(&[tar((0..20).map(fat))], few).unwrap_err();
    assert!(
        refusal.ends_with("entry 15: more than 1048576 bytes of names and attributes"),
        "{refusal}"
    );
}

fn compressed(compression: Compression, bytes: &[u8], diff_id: Digest) -> Layer {
    Layer { blob: blob(bytes), digest: Some(Digest::of(bytes)), compression, diff_id }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn bombs() {
    let zeros = tar([Member::file("z", vec![0; 64 << 20])]);
    let small = Limits { bytes: 16 << 20, ..limits() };
    for (compression, bytes) in [
        (Compression::Gzip, gzip(&zeros)),
        (Compression::Zstd, zstd::bulk::compress(&zeros, 19).unwrap()),
    ] {
        let layer = compressed(compression, &bytes, Digest::of(&zeros));
        assert!(merge_layers(std::slice::from_ref(&layer), limits()).is_ok());
        let refusal = merge_layers(&[layer], small).unwrap_err();
        let said = "): at byte 0, entry z: more than 16777216 bytes unpacked";
        assert!(refusal.ends_with(said), "{refusal}");
    }
}

/// 1.1 GiB of zeros in 100 KiB of zstd: within the limit of bytes, and still not a real layer.
#[test]
fn a_bomb_within_the_limit_of_bytes() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    let header = Member::file("z", "").with(|h| h.size = octal(1100 << 20));
    encoder.write_all(&header.bytes()).unwrap();
    (0..1100).for_each(|_| encoder.write_all(&[0; 1 << 20]).unwrap());
    let layer = compressed(Compression::Zstd, &encoder.finish().unwrap(), Digest::of(b""));
    let refusal = merge_layers(&[layer], limits()).unwrap_err();
    let said = "): at byte 0, entry z: unpacks to more than 256 times its size";
    assert!(refusal.ends_with(said), "{refusal}");
}

#[test]
fn compressed_data_that_breaks_off_inside_an_entry() {
    let noise: Vec<u8> = (0..3_000_000_u32).map(|i| (i.wrapping_mul(i) >> 11) as u8).collect();
    let bytes = tar([Member::file("first", "x"), Member::file("second", &noise)]);
    for (compression, packed) in [
        (Compression::Gzip, gzip(&bytes)),
        (Compression::Zstd, zstd::bulk::compress(&bytes, 1).unwrap()),
    ] {
        let cut = &packed[..packed.len() - packed.len() / 4];
        let refusal = merge_layers(&[compressed(compression, cut, Digest::of(&bytes))], limits());
        let refusal = refusal.unwrap_err();
        assert!(refusal.contains("): at byte 1024, entry second: "), "{refusal}");
        assert!(!refusal.contains("the bytes end inside an entry's data"), "{refusal}");
    }
}

#[test]
fn layers_that_are_not_what_they_are_called() {
    let bytes = tar([file("a")]);
    let honest = plain_layer(&bytes);
    let other = Digest::of(b"other");
    let cases = [
        (Layer { digest: Some(other), ..honest.clone() }, "the layer is not "),
        (Layer { diff_id: other, ..honest.clone() }, "the uncompressed layer is not "),
        (
            Layer { digest: Some(other), compression: Compression::Gzip, ..honest.clone() },
            "the layer is not ",
        ),
        (Layer { compression: Compression::Gzip, ..honest.clone() }, "broken compressed data: "),
        (Layer { compression: Compression::Zstd, ..honest.clone() }, "broken compressed data: "),
    ];
    for (layer, said) in cases {
        let refusal = merge_layers(&[honest.clone(), layer], limits()).unwrap_err();
        let (before, after) = refusal.split_once("): ").unwrap();
        assert!(before.starts_with("cannot read layer 2 of 2 (sha256:"), "{refusal}");
        assert!(after.starts_with(said), "{refusal}");
    }
}

#[test]
fn bytes_behind_the_archive_are_hashed_too() {
    let bytes = [tar([file("a")]), b"more".to_vec()].concat();
    let layer = plain_layer(&bytes);
    assert!(merge_layers(std::slice::from_ref(&layer), limits()).is_ok());
    let short = Layer { diff_id: Digest::of(&bytes[..bytes.len() - 4]), ..layer };
    assert!(merge_layers(&[short], limits()).is_err());
}

#[test]
fn of_several_broken_layers_the_lowest_is_named() {
    let broken = |name: &str| tar([file(format!("{name}//"))]);
    let layers: Vec<_> = (0..30)
        .map(|i| if i % 7 == 5 { broken(&i.to_string()) } else { tar([file("a")]) })
        .collect();
    for _ in 0..20 {
        let refusal = merged_bytes(&layers).unwrap_err();
        assert!(refusal.contains("layer 6 of 30") && refusal.contains("entry 5//"), "{refusal}");
    }
}
