//! The invariants over a fixed number of mutations of good input, always the same ones.

use std::io::Write;

use serde_json::json;

use crate::invariants;
use crate::tarball::{Member, base_256, octal, pax_record, tar};

/// At 20 000 every byte of the inputs has been hit several times.
const MUTATIONS: usize = 20_000;

/// xorshift64: the same numbers on every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length);
        start..(start + 1 + self.below(64)).min(length)
    }
}

/// One change of a kind that parsers stumble over.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    if bytes.is_empty() {
        return bytes.push(random.next() as u8);
    }
    let at = random.below(bytes.len());
    let interesting = b"\0\xff\x80\x7f/.=, \n0179\"{}[]-";
    match random.below(8) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 | 2 => bytes[at] = interesting[random.below(interesting.len())],
        3 => bytes.insert(at, interesting[random.below(interesting.len())]),
        4 => drop(bytes.drain(random.range(bytes.len()))),
        5 => {
            let piece = bytes[random.range(bytes.len())].to_vec();
            drop(bytes.splice(at..at, piece));
        }
        6 => {
            let piece = bytes[random.range(bytes.len())].to_vec();
            let end = (at + piece.len()).min(bytes.len());
            bytes[at..end].copy_from_slice(&piece[..end - at]);
        }
        _ => bytes.truncate(at),
    }
}

/// One change to a tar: also of whole blocks, and mostly with right checksums after it.
fn mutate_tar(bytes: &mut Vec<u8>, random: &mut Random) {
    let blocks = bytes.len() / 512;
    let block = 512 * random.below(blocks);
    match random.below(4) {
        0 if blocks > 1 => {
            let copy = bytes[block..block + 512].to_vec();
            let to = 512 * random.below(blocks);
            drop(bytes.splice(to..to, copy));
        }
        1 if blocks > 1 => drop(bytes.drain(block..block + 512)),
        _ => mutate(bytes, random),
    }
    if random.below(8) > 0 {
        bytes.as_chunks_mut().0.iter_mut().for_each(seal);
    }
}

fn seal(block: &mut [u8; 512]) {
    if block[257..262] == *b"ustar" {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

/// Runs `check` over mutations of `seeds`; what it returns tells how much of the input was good.
fn run(
    seeds: &[Vec<u8>],
    mutate: fn(&mut Vec<u8>, &mut Random),
    count: usize,
    mut check: impl FnMut(&[u8]) -> usize,
) {
    let good: Vec<_> = seeds.iter().map(|seed| check(seed)).collect();
    assert!(good.iter().all(|count| *count > 0), "every seed is good: {good:?}");
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut refused, mut taken) = (0, 0);
    for round in 0..count {
        let seed = round % seeds.len();
        let mut bytes = seeds[seed].clone();
        (0..=random.below(4)).for_each(|_| mutate(&mut bytes, &mut random));
        if check(&bytes) < good[seed] { refused += 1 } else { taken += 1 }
    }
    // If all or none did harm, the mutations would miss what they are for.
    assert!(refused > count / 20 && taken > count / 200, "{refused} refused, {taken} taken");
}

fn seeds() -> Vec<Vec<u8>> {
    let old_sparse = |header: &mut crate::tarball::Header| {
        header.kind = b'S';
        header.magic = *b"ustar  \0";
        header.tail = vec![0; 41];
        header
            .tail
            .extend([octal::<12>(100), octal::<12>(4), octal::<12>(900), octal::<12>(0)].concat());
        header.tail.resize(138, 0);
        header.tail.extend(octal::<12>(900));
    };
    let mut front = b"2\n10\n3\n50\n1\n".to_vec();
    front.resize(512, 0);
    front.extend(b"abcd");
    let plain = vec![
        Member::directory("./"),
        Member::directory("d/").mode(0o1777),
        Member::file("d/f", "content").owner(5, 6).mtime(7),
        Member::hardlink("d/h", "d/f"),
        Member::symlink("s", "d"),
        Member::file("s/g", [b'x'; 600]),
        Member::of(b'3', "null").device(1, 3),
        Member::of(b'6', "pipe"),
    ];
    let long = vec![
        Member::file("short", "x").gnu_long(b'L', "l".repeat(200)),
        Member::symlink("s", "").gnu_long(b'K', "t".repeat(600)),
        Member::file("base", "y").with(|h| (h.uid, h.mtime) = (base_256(1 << 30), base_256(-5))),
        Member::file("p", "zz")
            .pax("path", "q".repeat(120))
            .pax("SCHILY.xattr.user.a", b"\0\xff")
            .pax("mtime", "-1.5")
            .pax("size", "2"),
    ];
    let sparse = vec![
        Member::file("old", "abcd").with(old_sparse),
        Member::file("listed", "abcd")
            .pax("GNU.sparse.size", "100")
            .pax("GNU.sparse.map", "10,3,50,1"),
        Member::file("front", front)
            .pax("GNU.sparse.major", "1")
            .pax("GNU.sparse.minor", "0")
            .pax("GNU.sparse.name", "sparse")
            .pax("GNU.sparse.realsize", "100"),
    ];
    [plain, long, sparse].map(tar).to_vec()
}

#[test]
fn tars() {
    run(&seeds(), mutate_tar, MUTATIONS, invariants::tars_are_read_or_refused);
}

#[test]
fn pax_records() {
    let records: &[&[(&str, &[u8])]] = &[
        &[("path", b"a/b"), ("mtime", b"1.5"), ("uid", b"70000"), ("SCHILY.xattr.user.a", b"\0\n")],
        &[("GNU.sparse.size", b"9"), ("GNU.sparse.offset", b"9"), ("GNU.sparse.numbytes", b"0")],
        &[("comment", b"12 a=b\n"), ("linkpath", b"x"), ("size", b"0"), ("gid", b"")],
    ];
    let seed = |records: &&[(&str, &[u8])]| {
        records.iter().flat_map(|(key, value)| pax_record(key, value)).collect()
    };
    let seeds: Vec<Vec<u8>> = records.iter().map(seed).collect();
    run(&seeds, mutate, MUTATIONS, invariants::pax_records_are_read_or_refused);
}

#[test]
fn documents() {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let one = json!({"mediaType": crate::layout::MANIFEST, "digest": digest, "size": 7,
        "platform": {"os": "linux", "architecture": "amd64"}, "annotations": {"a": "b"}});
    let documents = [
        json!({"schemaVersion": 2, "mediaType": crate::layout::INDEX, "manifests": [one]}),
        json!({"schemaVersion": 2, "config": one, "layers": [one, one]}),
        json!({"os": "linux", "architecture": "arm64", "created": "2024-01-02T03:04:05Z",
            "config": {"Labels": {"a": "b"}}, "rootfs": {"type": "layers", "diff_ids": [digest]}}),
        json!([{"Config": "a.json", "RepoTags": null, "Layers": ["b/layer.tar"]}]),
    ];
    let seeds = documents.map(|document| document.to_string().into_bytes());
    run(&seeds, mutate, MUTATIONS, invariants::documents_are_read_or_refused);
}

#[test]
fn names() {
    let seeds: [&[u8]; 7] =
        [b"./", b"a/b", b"./a/b/", b".wh.a", b"a/.wh.b", b"a/.wh..wh..opq", b"a/..b/c"];
    let seeds = seeds.map(<[u8]>::to_vec);
    run(&seeds, mutate, MUTATIONS, invariants::names_stay_inside);
}

/// A tenth, because each takes two threads and three files.
#[test]
fn layers() {
    let upper = tar([
        Member::file(".wh.s", ""),
        Member::file("d/.wh..wh..opq", ""),
        Member::directory("d"),
        Member::file("d/f", "new"),
        Member::hardlink("x/y/z", "null"),
        Member::symlink("s", "x/y"),
        Member::file("s/w", "w"),
    ]);
    let lower = &seeds()[0];
    let half = lower.len();
    let seed = [&lower[..], &upper].concat();
    run(&[seed], mutate_tar, MUTATIONS / 10, |bytes| {
        let (lower, upper) = bytes.split_at(half.min(bytes.len()));
        invariants::layers_are_merged_or_refused(&[lower, upper])
    });
}

/// A tenth, because each takes four threads.
#[test]
fn compressed_layers() {
    let tar = invariants::what_is_compressed();
    let half = tar.len() / 2;
    let zstd = |bytes: &[u8]| zstd::bulk::compress(bytes, 3).unwrap();
    // What stands in a skippable frame does no harm.
    let skippable = [b"\x5a\x2a\x4d\x18\xc8\0\0\0".as_slice(), &[7; 200]].concat();
    let seeds = [
        gzip(&tar),
        [gzip(&tar[..half]), gzip(&tar[half..])].concat(),
        zstd(&tar),
        [zstd(&tar[..half]), skippable, zstd(&tar[half..])].concat(),
    ];
    run(&seeds, mutate, MUTATIONS / 10, invariants::compressed_layers_are_what_they_are_called);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
