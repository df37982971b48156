//! Modules, packages and kernels that somebody made to hurt: the fuzz targets' invariants over
//! mutations of good ones.

use std::io::Write;

use crate::invariants::{deb, modinfo, vmlinuz};

/// Enough to change each of the few hundred bytes that matter in many ways.
const MUTATIONS: usize = 20_000;

#[test]
fn mutated_modules_end_in_an_error_or_in_a_module() {
    let seed = module();
    run(&[seed], modinfo::check);
}

#[test]
fn mutated_packages_end_in_an_error_or_in_files() {
    let tar = tarball();
    let zstd = zstd::encode_all(tar.as_slice(), 1).unwrap();
    let seeds = [
        package("data.tar", &tar),
        package("data.tar.gz", &gzip(&tar)),
        package("data.tar.xz", &xz(&tar)),
        package("data.tar.zst", &zstd),
    ];
    run(&seeds, |bytes| deb::check(bytes) == Some(2));
}

#[test]
fn mutated_kernels_end_in_an_error_or_in_a_kernel() {
    let elf = [b"\x7fELF".as_slice(), &b"kernel ".repeat(100)].concat();
    let block = lz4_flex::block::compress(&elf);
    let length = (block.len() as u32).to_le_bytes();
    let lz4 = [b"\x02\x21\x4c\x18".as_slice(), &length, &block].concat();
    let zstd = zstd::encode_all(elf.as_slice(), 1).unwrap();
    let size = (elf.len() as u32).to_le_bytes();
    let sized = [xz(&elf), zstd, lz4].map(|packed| [packed.as_slice(), &size].concat());
    let seeds: Vec<_> = sized.iter().chain([&gzip(&elf)]).map(|packed| kernel(packed)).collect();
    run(&seeds, vmlinuz::check);
}

/// Both verdicts must be common, else the mutations would miss what they are for.
fn run(seeds: &[Vec<u8>], is_good: impl Fn(&[u8]) -> bool) {
    assert!(seeds.iter().all(|seed| is_good(seed)));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let good = (0..MUTATIONS).filter(|_| is_good(&mutation(seeds, &mut random))).count();
    assert!((MUTATIONS / 100..MUTATIONS * 99 / 100).contains(&good), "{good} good ones");
}

/// A good input with one to three changes.
fn mutation(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len());
        match random.below(5) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b'9', b' '][random.below(7)],
            2 => bytes.truncate(at + 1),
            3 => bytes.insert(at, random.below(256) as u8),
            _ => bytes.extend_from_within(at..),
        }
    }
    bytes
}

/// Marsaglia's xorshift64: the same numbers in every run and on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// A module as the kernel's build makes it, but of few bytes.
fn module() -> Vec<u8> {
    let modinfo = "alias=virtio:d00000002v*\0depends=a,b\0softdep=pre: c\0vermagic=6.1.0 SMP \0";
    let names = "\0.modinfo\0.shstrtab\0";
    let names_at = 64 + modinfo.len() as u64;
    let headers_at = names_at + names.len() as u64;
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x01\0\x3e\0\x01\0\0\0".to_vec();
    [0, 0, headers_at].iter().for_each(|long| elf.extend(long.to_le_bytes()));
    elf.extend(0u32.to_le_bytes());
    [64u16, 0, 0, 64, 3, 2].iter().for_each(|half| elf.extend(half.to_le_bytes()));
    elf.extend([modinfo, names].concat().as_bytes());
    elf.extend([0; 64]);
    let sections = [(1u64 << 32 | 1, 64, modinfo.len() as u64), (3 << 32 | 10, names_at, 20)];
    for (kind_and_name, at, length) in sections {
        let header = [kind_and_name, 0, 0, at, length, 0, 1, 0];
        header.iter().for_each(|long| elf.extend(long.to_le_bytes()));
    }
    elf
}

fn tarball() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for path in ["lib/modules/6.1.0/modules.builtin", &"long-name/".repeat(15)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(7);
        let path = path.trim_end_matches('/');
        tar.append_data(&mut header, path, b"content".as_slice()).unwrap();
    }
    tar.into_inner().unwrap()
}

fn package(name: &str, data: &[u8]) -> Vec<u8> {
    let mut package = b"!<arch>\n".to_vec();
    for (name, content) in [("debian-binary", b"2.0\n".as_slice()), (name, data)] {
        writeln!(package, "{name:<16}{:<32}{:<10}`", "0", content.len()).unwrap();
        package.extend(content);
    }
    package
}

fn kernel(payload: &[u8]) -> Vec<u8> {
    let mut kernel = vec![0; 1024];
    kernel[0x1f1] = 1;
    kernel[0x202..0x208].copy_from_slice(b"HdrS\x0f\x02");
    kernel[0x20e..0x210].copy_from_slice(&0x80u16.to_le_bytes());
    kernel[0x24c..0x250].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    kernel[0x280..0x28b].copy_from_slice(b"6.1.0 (a@b)");
    [&kernel, payload].concat()
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn xz(data: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}
