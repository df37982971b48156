use std::io::{self, Read};

use liblzma::read::XzDecoder;
use liblzma::stream::Stream;

use crate::{Error, Result};

/// The largest modules of a distribution have 30 MiB, with debug information 200 MiB.
const MAX_SIZE: u64 = 256 << 20;
/// The kernel's build compresses modules so that 1 MiB suffices, and `xz -9` needs 65 MiB.
const MAX_XZ_MEMORY: u64 = 256 << 20;
/// The ends of module files, the longest first where one ends in another.
const SUFFIXES: [&str; 4] = [".ko.xz", ".ko.zst", ".ko.gz", ".ko"];

/// `path` up to its `.ko` or `.ko.xz`, if it has such an end.
pub(super) fn stem(path: &str) -> Option<&str> {
    SUFFIXES.iter().find_map(|suffix| path.strip_suffix(suffix))
}

/// The ELF file of a module that may be compressed; its first bytes tell how.
pub(crate) fn decompress(path: &str, file: Vec<u8>) -> Result<Vec<u8>> {
    let unpacked = match file.as_slice() {
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => unxz(&file),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => zstd::Decoder::new(file.as_slice()).and_then(read_all),
        [0x1f, 0x8b, ..] => read_all(flate2::read::GzDecoder::new(file.as_slice())),
        _ => Ok(file),
    };
    unpacked.map_err(|cause| Error::input(format!("decompress kernel module {path}"), cause))
}

fn unxz(file: &[u8]) -> io::Result<Vec<u8>> {
    let stream = Stream::new_stream_decoder(MAX_XZ_MEMORY, 0)?;
    read_all(XzDecoder::new_stream(file, stream))
}

fn read_all(data: impl Read) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    data.take(MAX_SIZE + 1).read_to_end(&mut all)?;
    match all.len() as u64 > MAX_SIZE {
        true => Err(io::Error::other(format!("it is larger than {} MiB", MAX_SIZE >> 20))),
        false => Ok(all),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn xz(data: &[u8]) -> Vec<u8> {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_compression_gives_the_same_module() {
        let module = b"\x7fELF and so on".to_vec();
        let zstd = zstd::encode_all(module.as_slice(), 0).unwrap();
        for file in [module.clone(), xz(&module), gzip(&module), zstd] {
            assert_eq!(decompress("a.ko", file).unwrap(), module);
        }
    }

    #[test]
    fn a_bomb_is_refused_and_so_is_a_cut_file() {
        let bomb = zstd::encode_all(io::repeat(0).take(MAX_SIZE + 1), 1).unwrap();
        let error = decompress("bomb.ko.zst", bomb).unwrap_err().to_string();
        assert_eq!(error, "cannot decompress kernel module bomb.ko.zst: it is larger than 256 MiB");
        let whole = xz(b"module");
        assert!(decompress("cut.ko.xz", whole[..whole.len() - 1].to_vec()).is_err());
    }

    #[test]
    fn a_module_file_is_known_by_its_end() {
        assert_eq!(stem("fs/ext4.ko"), Some("fs/ext4"));
        assert_eq!(stem("a.ko.xz"), Some("a"));
        assert_eq!(stem("modules.order"), None);
        assert_eq!(stem("a.ko.bak"), None);
    }
}
