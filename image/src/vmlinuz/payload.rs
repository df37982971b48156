use std::io::Read;

use liblzma::read::XzDecoder;
use liblzma::stream::Stream;

use super::refuse;
use crate::Result;

/// Kernels with everything built in have 100 MiB.
const MAX_SIZE: usize = 512 << 20;
/// The build's `xz` and `lzma` use dictionaries of at most 32 MiB.
const MAX_LZMA_MEMORY: u64 = 256 << 20;
/// What a block of LZ4's legacy frame holds, except the last (LZ4 frame format, "Legacy frame").
const LZ4_BLOCK: usize = 8 << 20;

/// The kernel in a payload, whose last four bytes are the kernel's size: they are gzip's own
/// trailer, or the build has appended them (`size_append` in scripts/Makefile.lib).
pub(super) fn decompress(payload: &[u8]) -> Result<Vec<u8>> {
    let Some((body, size)) = payload.split_last_chunk() else {
        return Err(refuse("its payload is too short"));
    };
    let size = u32::from_le_bytes(*size) as usize;
    if size > MAX_SIZE {
        return Err(refuse(format!("it says that it is larger than {} MiB", MAX_SIZE >> 20)));
    }
    match body {
        [0x1f, 0x8b, ..] => read_all(flate2::read::GzDecoder::new(payload), size),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => read_all(zstd::Decoder::new(body).map_err(refuse)?, size),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            let stream = Stream::new_stream_decoder(MAX_LZMA_MEMORY, 0).map_err(refuse)?;
            read_all(XzDecoder::new_stream(body, stream), size)
        }
        [0x5d, 0, 0, ..] => {
            let stream = Stream::new_lzma_decoder(MAX_LZMA_MEMORY).map_err(refuse)?;
            read_all(XzDecoder::new_stream(body, stream), size)
        }
        [0x02, 0x21, 0x4c, 0x18, blocks @ ..] => unlz4(blocks, size),
        _ => Err(refuse("its payload is compressed in an unknown way")),
    }
}

fn read_all(decoder: impl Read, size: usize) -> Result<Vec<u8>> {
    let mut kernel = Vec::new();
    decoder.take(size as u64 + 1).read_to_end(&mut kernel).map_err(refuse)?;
    match kernel.len() {
        length if length > size => {
            Err(refuse(format!("it has more than the {size} bytes that it says")))
        }
        length if length < size => {
            Err(refuse(format!("it has {length} bytes, and not {size} as it says")))
        }
        _ => Ok(kernel),
    }
}

/// Blocks that each follow their length. The lz4 crates read only the newer frame format.
fn unlz4(mut blocks: &[u8], size: usize) -> Result<Vec<u8>> {
    let mut kernel = vec![0; size];
    let mut rest = kernel.as_mut_slice();
    while let Some((length, after)) = blocks.split_first_chunk() {
        let length = u32::from_le_bytes(*length) as usize;
        let (block, after) =
            after.split_at_checked(length).ok_or_else(|| refuse("an LZ4 block has no end"))?;
        let room = rest.len().min(LZ4_BLOCK);
        let written = lz4_flex::block::decompress_into(block, &mut rest[..room]).map_err(refuse)?;
        rest = &mut rest[written..];
        blocks = after;
    }
    match rest.len() {
        0 => Ok(kernel),
        missing => Err(refuse(format!("{missing} of its {size} bytes are missing"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    /// What a program makes of `input`.
    fn through(program: &str, input: &[u8]) -> Vec<u8> {
        let mut words = program.split(' ');
        let mut child = Command::new(words.next().unwrap());
        let mut child =
            child.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let output = std::thread::scope(|scope| {
            scope.spawn(move || stdin.write_all(input).unwrap());
            child.wait_with_output().unwrap()
        });
        assert!(output.status.success(), "{program}");
        output.stdout
    }

    fn kernel() -> Vec<u8> {
        (0..20u32 << 20).map(|n| (n >> 8 ^ n) as u8).collect()
    }

    #[test]
    fn every_compression_that_kernels_are_built_with_is_read() {
        let kernel = kernel();
        let size = (kernel.len() as u32).to_le_bytes();
        assert!(decompress(&through("gzip -1", &kernel)).unwrap() == kernel);
        for program in ["xz -0 --check=crc32 --x86 --lzma2=preset=0", "lzma -0", "zstd -1"] {
            let payload = [through(program, &kernel), size.to_vec()].concat();
            assert!(decompress(&payload).unwrap() == kernel, "{program}");
        }
    }

    #[test]
    fn legacy_lz4_blocks_are_joined() {
        let kernel = kernel();
        let mut payload = vec![0x02, 0x21, 0x4c, 0x18];
        for block in kernel.chunks(LZ4_BLOCK) {
            let packed = lz4_flex::block::compress(block);
            payload.extend((packed.len() as u32).to_le_bytes());
            payload.extend(packed);
        }
        let whole = [payload.as_slice(), &(kernel.len() as u32).to_le_bytes()].concat();
        assert!(decompress(&whole).unwrap() == kernel);
        let longer = [payload.as_slice(), &(kernel.len() as u32 + 1).to_le_bytes()].concat();
        assert!(decompress(&longer).unwrap_err().to_string().contains("1 of its"));
        let shorter = [payload.as_slice(), &(kernel.len() as u32 - 1).to_le_bytes()].concat();
        assert!(decompress(&shorter).is_err());
    }

    #[test]
    fn a_size_beyond_the_limit_is_not_believed() {
        let payload = [b"\x02\x21\x4c\x18".as_slice(), &u32::MAX.to_le_bytes()].concat();
        assert!(decompress(&payload).unwrap_err().to_string().contains("larger than 512 MiB"));
    }
}
