//! Decompression: gzip of any number of members, zstd of any number of frames.

use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;
use zstd::stream::raw::{DParameter, Decoder as Zstd, InBuffer, Operation, OutBuffer};

use super::blob::Reader;
use super::budget::{Budget, Permit};
use super::journal::host;
use super::{Compression, Fault};

/// What the zstd program itself takes without being told to (`ZSTD_WINDOWLOG_LIMIT_DEFAULT`).
const WINDOW_LOG_MAX: u32 = 27;

/// What a decoder has besides its window: input, output and tables.
const DECODER: u64 = 1 << 20;

/// A layer's uncompressed bytes.
pub(super) enum Decoder<'r, 'a> {
    Plain(&'r mut Reader<'a>),
    Gzip(Box<MultiGzDecoder<&'r mut Reader<'a>>>),
    Zstd(Frames<'r, 'a>),
}

impl<'r, 'a> Decoder<'r, 'a> {
    pub(super) fn new(
        compression: Compression,
        reader: &'r mut Reader<'a>,
        budget: &'a Budget,
    ) -> Self {
        match compression {
            Compression::None => Self::Plain(reader),
            Compression::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(reader))),
            Compression::Zstd => Self::Zstd(Frames { reader, budget, frame: None }),
        }
    }

    /// How much of the blob was read so far.
    pub(super) fn consumed(&self) -> u64 {
        match self {
            Self::Plain(reader) => reader.position(),
            Self::Gzip(gzip) => gzip.get_ref().position(),
            Self::Zstd(frames) => frames.reader.position(),
        }
    }

    /// Appends what comes next to `buffer`, up to its capacity; nothing at the end.
    pub(super) fn fill(&mut self, buffer: &mut Vec<u8>) -> Result<(), Fault> {
        let room = (buffer.capacity() - buffer.len()) as u64;
        match self {
            Self::Plain(reader) => append(&mut **reader, room, buffer),
            Self::Gzip(gzip) => append(&mut **gzip, room, buffer),
            Self::Zstd(frames) => frames.append(buffer),
        }
    }
}

fn append(reader: &mut impl Read, room: u64, buffer: &mut Vec<u8>) -> Result<(), Fault> {
    reader.take(room).read_to_end(buffer).map(drop).map_err(broken)
}

/// What the kernel says has a number; what the decoders say has none.
fn broken(cause: io::Error) -> Fault {
    match cause.raw_os_error() {
        Some(_) => host("read the layer")(cause),
        None => Fault::Compression(cause),
    }
}

/// zstd frames one after the other. The memory for each frame's window is asked for before it is
/// used.
pub(super) struct Frames<'r, 'a> {
    reader: &'r mut Reader<'a>,
    budget: &'a Budget,
    frame: Option<Frame<'a>>,
}

struct Frame<'a> {
    decoder: Zstd<'static>,
    state: State,
    /// Kept from frame to frame as long as windows do not grow.
    window: u64,
    _memory: Permit<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Inside,
    Finished,
}

impl<'a> Frames<'_, 'a> {
    fn append(&mut self, buffer: &mut Vec<u8>) -> Result<(), Fault> {
        while buffer.len() < buffer.capacity() {
            let bytes = self.reader.fill_buf().map_err(broken)?;
            match &mut self.frame {
                Some(frame) if frame.state == State::Inside => {
                    let used = frame.decode(bytes, buffer)?;
                    self.reader.consume(used);
                }
                _ if bytes.is_empty() => break,
                _ => self.begin_frame()?,
            }
        }
        Ok(())
    }

    fn begin_frame(&mut self) -> Result<(), Fault> {
        let window = window(self.reader.peek(HEADER_MAX).map_err(broken)?);
        let limit = 1 << WINDOW_LOG_MAX;
        if window > limit {
            return Err(Fault::Window { window, limit });
        }
        // The old frame's memory goes back first: waiting for some while holding some could wait
        // for ever.
        self.frame = match self.frame.take().filter(|frame| window <= frame.window) {
            Some(frame) => Some(frame.again()?),
            None => Some(Frame::new(window, self.budget)?),
        };
        Ok(())
    }
}

impl<'a> Frame<'a> {
    fn new(window: u64, budget: &'a Budget) -> Result<Self, Fault> {
        let memory = budget.acquire(window + DECODER);
        let mut decoder = Zstd::new().map_err(broken)?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX)).map_err(broken)?;
        Ok(Self { decoder, state: State::Inside, window, _memory: memory })
    }

    fn again(mut self) -> Result<Self, Fault> {
        self.decoder.reinit().map_err(broken)?;
        self.state = State::Inside;
        Ok(self)
    }

    /// Decodes from `bytes` into the room that `buffer` has, and says how many bytes it took.
    fn decode(&mut self, bytes: &[u8], buffer: &mut Vec<u8>) -> Result<usize, Fault> {
        let before = buffer.len();
        let mut input = InBuffer::around(bytes);
        let mut output = OutBuffer::around_pos(buffer, before);
        let wanted = self.decoder.run(&mut input, &mut output).map_err(broken)?;
        if wanted == 0 {
            self.state = State::Finished;
        } else if input.pos() == 0 && output.pos() == before {
            return Err(Fault::Truncated("a zstd frame"));
        }
        Ok(input.pos())
    }
}

/// Frame header without checksum: RFC 8878, 3.1.1.1.
const HEADER_MAX: usize = 18;

/// The window that a frame's header asks for, in bytes; 0 for what is not a frame, or not whole:
/// the decoder tells.
fn window(header: &[u8]) -> u64 {
    const MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();
    match header.strip_prefix(&MAGIC) {
        Some([descriptor, rest @ ..]) if descriptor & 0x20 == 0 => multiple_segments(rest),
        Some([descriptor, rest @ ..]) => single_segment(*descriptor, rest),
        _ => 0,
    }
}

fn multiple_segments(rest: &[u8]) -> u64 {
    let descriptor = rest.first().copied().unwrap_or_default();
    let base = 1 << (10 + (descriptor >> 3));
    base + base / 8 * u64::from(descriptor & 7)
}

/// All of the frame's content is its window.
fn single_segment(descriptor: u8, rest: &[u8]) -> u64 {
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let length = 1 << (descriptor >> 6);
    let Some(field) = rest.get(dictionary..dictionary + length) else { return 0 };
    let size = field.iter().rev().fold(0, |size, byte| size << 8 | u64::from(*byte));
    if length == 2 { size + 256 } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::Blob;
    use crate::progress::Silent;
    use std::io::Write;

    fn decode(compression: Compression, bytes: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let (blob, budget) = (Blob::whole(file).unwrap(), Budget::new(8 << 20));
        let mut reader = Reader::new(&blob, &Silent);
        let mut decoder = Decoder::new(compression, &mut reader, &budget);
        let mut decoded = Vec::new();
        loop {
            let mut chunk = Vec::with_capacity(1000);
            decoder.fill(&mut chunk)?;
            if chunk.is_empty() {
                return Ok(decoded);
            }
            decoded.extend(chunk);
        }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// With a header that names its window, not its size.
    fn zstd_window(bytes: &[u8], window_log: u32) -> Vec<u8> {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(window_log).unwrap();
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn content() -> Vec<u8> {
        (0..1 << 20).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 20) as u8).collect()
    }

    #[test]
    fn gzip_of_many_members_is_one_stream() {
        let bytes = content();
        let members = [gzip(&bytes[..1000]), gzip(b""), gzip(&bytes[1000..])].concat();
        assert_eq!(decode(Compression::Gzip, &members).unwrap(), bytes);
    }

    #[test]
    fn zstd_of_many_frames_is_one_stream() {
        let bytes = content();
        let skippable = b"\x5a\x2a\x4d\x18\x03\0\0\0abc".to_vec();
        let frames = [
            zstd::bulk::compress(&bytes[..1000], 3).unwrap(),
            zstd_window(&bytes[1000..1000], 10),
            skippable,
            zstd_window(&bytes[1000..500_000], 20),
            zstd_window(&bytes[500_000..], 24),
        ];
        assert_eq!(decode(Compression::Zstd, &frames.concat()).unwrap(), bytes);
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(decode(Compression::None, b"").unwrap(), b"");
        assert_eq!(decode(Compression::Zstd, b"").unwrap(), b"");
    }

    #[test]
    fn streams_that_are_cut_or_have_something_behind_them() {
        let bytes = content();
        for (compression, whole) in
            [(Compression::Gzip, gzip(&bytes)), (Compression::Zstd, zstd_window(&bytes, 20))]
        {
            for cut in [1, 5, 100, whole.len() / 2, whole.len() - 1] {
                assert!(decode(compression, &whole[..cut]).is_err(), "{compression:?} {cut}");
            }
            assert!(decode(compression, &[&whole, &b"junk"[..]].concat()).is_err());
        }
    }

    #[test]
    fn a_window_is_what_the_header_says() {
        assert_eq!(window(&zstd_window(&content(), 20)), 1 << 20);
        assert_eq!(window(&zstd::bulk::compress(&content()[..1000], 3).unwrap()), 1000);
        assert_eq!(window(b"\x28\xb5\x2f\xfd\x00\xff"), (1 << 41) + (1 << 41) / 8 * 7);
        assert_eq!(window(b"\x28\xb5\x2f\xfd"), 0);
    }

    #[test]
    fn a_window_past_the_limit_is_refused_before_it_is_made() {
        let fault = decode(Compression::Zstd, b"\x28\xb5\x2f\xfd\x00\x90\0\0\0\0").unwrap_err();
        let text = "a zstd window of 268435456 bytes, the limit is 134217728";
        assert_eq!(fault.to_string(), text);
    }
}
