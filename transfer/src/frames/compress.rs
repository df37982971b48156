use std::fs::File;
use std::io::{self, Write};
use std::num::NonZero;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::thread;

use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

use super::{MAX_BLOCKS, MAX_FRAME, SeekTable};
use crate::Error;
use crate::block_file::offset;

/// A frame has 1 MiB: a larger window would be memory for nothing.
const WINDOW_LOG: u32 = 20;

/// A frame that begins where a file begins is fetched for that file alone; a frame shorter than this
/// compresses worse than that is worth.
const MIN_BLOCKS: u64 = MAX_BLOCKS * 3 / 4;

/// Pieces that are compressed before they are written, for each processor: enough that none waits long.
const PIECES_EACH: usize = 8;

/// How hard it is tried to make frames small.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effort {
    /// Some 100 MB a second on each processor, for who tries things out.
    Quick,
    /// Some 2 MB a second on each processor, a fifth smaller, for releases.
    Best,
}

/// What decides, beside the image, which bytes its frames have.
#[derive(Clone, Copy)]
pub struct Recipe<'a> {
    /// Numbers of blocks where files begin, in order; they may be none.
    pub starts: &'a [u64],
    /// Numbers of blocks where a frame begins in any case, in order; they may be none.
    pub cuts: &'a [u64],
    /// How hard to try.
    pub effort: Effort,
    /// Is told how many blocks more are compressed.
    pub progress: &'a dyn Fn(u64),
}

/// Writes an image of `blocks` blocks as frames and their table, on all processors. The bytes are a function of
/// the image and the recipe alone.
pub fn compress(
    image: &File,
    blocks: u64,
    recipe: &Recipe<'_>,
    out: &mut impl Write,
) -> Result<SeekTable, Error> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let mut sizes = Vec::new();
    for batch in pieces(blocks, (recipe.cuts, recipe.starts)).chunks(threads * PIECES_EACH) {
        for (frame, blocks) in compress_batch(image, batch, (threads, recipe.effort))? {
            out.write_all(&frame).map_err(Error::file("write", "frames"))?;
            (recipe.progress)(blocks);
            sizes.push((frame.len() as u64, blocks));
        }
    }
    let table = SeekTable::of_frames(sizes);
    out.write_all(&table.to_bytes()).map_err(Error::file("write", "seek table"))?;
    Ok(table)
}

type Frames = Vec<(Vec<u8>, u64)>;

/// Cuts an image into pieces of at most 256 blocks, where it must be and where files begin if one does in the last quarter.
fn pieces(blocks: u64, (cuts, starts): (&[u64], &[u64])) -> Vec<Range<u64>> {
    let mut pieces = Vec::new();
    let mut from = 0;
    for end in cuts.iter().copied().filter(|cut| *cut < blocks).chain([blocks]) {
        while from < end {
            let to = cut(from, end, starts);
            pieces.push(from..to);
            from = to;
        }
    }
    pieces
}

fn cut(from: u64, end: u64, starts: &[u64]) -> u64 {
    let most = end.min(from + MAX_BLOCKS);
    if most == end {
        return end;
    }
    let before = starts.partition_point(|start| *start <= most);
    let last = before.checked_sub(1).and_then(|last| starts.get(last)).copied();
    last.filter(|start| *start >= from + MIN_BLOCKS).unwrap_or(most)
}

/// Each thread takes every n-th piece; the frames come back in the order of the image.
fn compress_batch(
    image: &File,
    batch: &[Range<u64>],
    (threads, effort): (usize, Effort),
) -> Result<Frames, Error> {
    let share = |first: usize| batch.iter().skip(first).step_by(threads);
    let of_threads: Vec<Vec<Frames>> = thread::scope(|scope| {
        let spawn = |first| scope.spawn(move || compress_share(image, share(first), effort));
        let workers: Vec<_> = (0..threads).map(spawn).collect();
        workers.into_iter().map(join).collect::<io::Result<_>>()
    })
    .map_err(Error::file("compress", "image"))?;
    let mut of_threads: Vec<_> = of_threads.into_iter().map(Vec::into_iter).collect();
    let in_order = (0..batch.len()).filter_map(|n| of_threads.get_mut(n % threads)?.next());
    Ok(in_order.flatten().collect())
}

fn join<T>(worker: thread::ScopedJoinHandle<'_, io::Result<T>>) -> io::Result<T> {
    worker.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
}

fn compress_share<'p>(
    image: &File,
    share: impl Iterator<Item = &'p Range<u64>>,
    effort: Effort,
) -> io::Result<Vec<Frames>> {
    let mut zstd = Compressor::new(effort.level())?;
    zstd.set_parameter(CParameter::WindowLog(WINDOW_LOG))?;
    share.map(|piece| compress_piece(image, piece, &mut zstd)).collect()
}

fn compress_piece(
    image: &File,
    piece: &Range<u64>,
    zstd: &mut Compressor<'_>,
) -> io::Result<Frames> {
    let mut bytes = vec![0; offset(piece.end - piece.start) as usize];
    image.read_exact_at(&mut bytes, offset(piece.start))?;
    let mut frames = Vec::new();
    split_until_it_fits(&bytes, zstd, &mut frames)?;
    Ok(frames)
}

/// One block always fits: zstd adds a few bytes to what it cannot compress.
fn split_until_it_fits(
    bytes: &[u8],
    zstd: &mut Compressor<'_>,
    frames: &mut Frames,
) -> io::Result<()> {
    let frame = zstd.compress(bytes)?;
    let blocks = bytes.len() as u64 / offset(1);
    if frame.len() <= MAX_FRAME {
        frames.push((frame, blocks));
        return Ok(());
    }
    // Halved as often as it takes if all parts compress alike, so that few are compressed in vain.
    let parts = frame.len().div_ceil(MAX_FRAME).next_power_of_two() as u64;
    let part = offset((blocks / parts).max(1)) as usize;
    bytes.chunks(part).try_for_each(|part| split_until_it_fits(part, zstd, frames))
}

impl Effort {
    /// 19 is the strongest level that needs no more memory where it is decoded.
    fn level(self) -> i32 {
        match self {
            Self::Quick => 3,
            Self::Best => 19,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_end_where_they_must_and_where_files_begin_if_that_is_late_enough() {
        for (blocks, cuts, starts, expected) in [
            (1, vec![], vec![], vec![0..1]),
            (256, vec![], vec![0, 200], vec![0..256]),
            (257, vec![], vec![], vec![0..256, 256..257]),
            (600, vec![], vec![100, 191], vec![0..256, 256..512, 512..600]),
            (600, vec![], vec![100, 192, 256], vec![0..256, 256..512, 512..600]),
            (600, vec![], vec![100, 192, 257, 430], vec![0..192, 192..430, 430..600]),
            (
                600,
                vec![0, 1, 300, 600, 700],
                vec![200],
                vec![0..1, 1..200, 200..300, 300..556, 556..600],
            ),
        ] {
            assert_eq!(pieces(blocks, (&cuts, &starts)), expected, "{cuts:?} {starts:?}");
        }
    }
}
