use pintle_verify::verity::BLOCK;
use zstd::bulk::Decompressor;

use super::{MAX_BLOCKS, MAX_FRAME};
use crate::Error;
use crate::block_file::Block;

/// Decodes frames one by one in the same memory: 1.2 MiB, whatever a frame says of itself.
///
/// A frame is decoded whole into a buffer of its known size, so that zstd needs no window of its own.
pub struct Decoder {
    zstd: Decompressor<'static>,
    frame: Vec<u8>,
    blocks: Vec<Block>,
}

impl Decoder {
    /// Reserves the memory.
    pub fn new() -> Result<Self, Error> {
        let zstd = Decompressor::new().map_err(Error::file("set up", "zstd"))?;
        let frame = Vec::with_capacity(MAX_FRAME);
        Ok(Self { zstd, frame, blocks: vec![[0; BLOCK]; MAX_BLOCKS as usize] })
    }

    /// Room for a frame of `size` bytes, to be filled before it is decoded.
    pub fn frame_mut(&mut self, size: usize) -> &mut [u8] {
        self.frame.resize(size.min(MAX_FRAME), 0);
        &mut self.frame
    }

    /// The blocks of the frame, exactly `count`, or an error.
    pub fn decode(&mut self, count: usize) -> Result<&[Block], Error> {
        let blocks = self.blocks.get_mut(..count).ok_or(TOO_MANY)?;
        let room = blocks.as_flattened_mut();
        match self.zstd.decompress_to_buffer(&self.frame, room) {
            Ok(written) if written == room.len() => Ok(blocks),
            Ok(_) => Err(Error::Frames("a frame holds less than its blocks")),
            Err(_) => Err(Error::Frames("a frame is damaged, or holds more than its blocks")),
        }
    }
}

const TOO_MANY: Error = Error::Frames("a frame has too many blocks");

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(frame: &[u8], count: usize) -> Result<Vec<Block>, String> {
        let mut decoder = Decoder::new().unwrap();
        decoder.frame_mut(frame.len()).copy_from_slice(frame);
        decoder.decode(count).map(<[_]>::to_vec).map_err(|cause| cause.to_string())
    }

    #[test]
    fn a_frame_is_exactly_its_blocks() {
        let blocks = [[1; BLOCK], [2; BLOCK], [3; BLOCK]];
        let frame = zstd::bulk::compress(blocks.as_flattened(), 3).unwrap();
        assert_eq!(decode(&frame, 3), Ok(blocks.to_vec()));
        for (frame, count, expected) in [
            (frame.as_slice(), 2, "holds more"),
            (frame.as_slice(), 4, "holds less"),
            (&frame[..frame.len() - 1], 3, "damaged"),
            (&[], 1, "holds less"),
            (&frame, MAX_BLOCKS as usize + 1, "too many"),
        ] {
            assert!(decode(frame, count).unwrap_err().contains(expected));
        }
    }

    #[test]
    fn a_bomb_gets_no_more_room_than_its_blocks() {
        let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 19).unwrap();
        assert!(bomb.len() < 16 << 10);
        assert!(decode(&bomb, 256).unwrap_err().contains("holds more"));
    }
}
