//! Holes by what is in a file, not by what a layer said of it.

use std::io;
use std::ops::Range;

use super::{Body, Content, Extent, Inode, Tree};
use crate::error::{Attempt, Result};
use crate::parallel;
use crate::spool::Spool;

/// Holes are whole blocks, as the image will have them.
const BLOCK: usize = 4096;
/// How much is read at once.
const STEP: usize = 64 * BLOCK;

impl Tree {
    /// Makes a hole of every block of zeros in every file. After that two files that read alike
    /// have their data in the same places, whether a layer stored the zeros or left them out.
    pub fn leave_out_zeros(&mut self, spool: &Spool) -> Result<()> {
        let files = self.inodes.iter_mut().filter_map(content);
        parallel::for_each(
            files,
            || vec![0; STEP],
            |buffer, content| {
                let runs = runs_of_data(content, spool, buffer);
                let runs = runs.attempt(|| "read the spool".to_owned())?;
                content.extents = clip(&content.extents, &runs);
                Ok(())
            },
        )
    }
}

fn content(inode: &mut Inode) -> Option<&mut Content> {
    match &mut inode.body {
        Body::File(content) => Some(content),
        _ => None,
    }
}

/// The parts of a file that hold something else than zeros, in whole blocks.
fn runs_of_data(
    content: &Content,
    spool: &Spool,
    buffer: &mut [u8],
) -> io::Result<Vec<Range<u64>>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for step in steps(content) {
        let length = ((step.end - step.start) as usize).next_multiple_of(BLOCK);
        content.read_at(spool, &mut buffer[..length], step.start)?;
        for (at, block) in (step.start..).step_by(BLOCK).zip(buffer[..length].chunks(BLOCK)) {
            match runs.last_mut() {
                _ if *block == [0; BLOCK] => {}
                Some(run) if run.end == at => run.end += BLOCK as u64,
                _ => runs.push(at..at + BLOCK as u64),
            }
        }
    }
    Ok(runs)
}

/// What of a file must be read: where its extents are, in steps that begin with a block.
fn steps(content: &Content) -> impl Iterator<Item = Range<u64>> {
    let block = BLOCK as u64;
    let mut done = 0;
    content.extents.iter().flat_map(move |extent| {
        let end = extent.offset + extent.length;
        let start = (extent.offset / block * block).max(done);
        done = end.next_multiple_of(block);
        (start..end).step_by(STEP).map(move |at| at..(at + STEP as u64).min(end))
    })
}

/// What of `extents` lies in `runs`; both ascend.
fn clip(extents: &[Extent], runs: &[Range<u64>]) -> Box<[Extent]> {
    let mut clipped = Vec::new();
    for run in runs {
        let first = extents.partition_point(|extent| extent.offset + extent.length <= run.start);
        let inside = extents[first..].iter().take_while(|extent| extent.offset < run.end);
        clipped.extend(inside.map(|extent| part(extent, run)));
    }
    clipped.into()
}

fn part(extent: &Extent, run: &Range<u64>) -> Extent {
    let offset = extent.offset.max(run.start);
    let end = (extent.offset + extent.length).min(run.end);
    Extent { offset, length: end - offset, spool: extent.spool + (offset - extent.offset) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spool() -> Spool {
        Spool::within(&std::env::temp_dir()).unwrap()
    }

    /// Where the data of a file is that was made of `parts` at these offsets.
    fn data(size: u64, parts: &[(u64, &[u8])]) -> Vec<(u64, u64)> {
        let (spool, mut tree) = (spool(), Tree::new());
        let extents = parts.iter().map(|(offset, bytes)| Extent {
            offset: *offset,
            length: bytes.len() as u64,
            spool: spool.append(bytes).unwrap(),
        });
        let content = Content { size, extents: extents.collect() };
        let before = read(&content, &spool);
        let file = Inode::new(0o644, Body::File(content));
        let id = tree.insert(tree.root(), b"f", file).unwrap();
        tree.leave_out_zeros(&spool).unwrap();
        let Body::File(content) = &tree.inode(id).body else { panic!("no file") };
        assert!(read(content, &spool) == before, "it reads as before");
        content.extents.iter().map(|extent| (extent.offset, extent.length)).collect()
    }

    fn read(content: &Content, spool: &Spool) -> Vec<u8> {
        let mut bytes = vec![0; content.size as usize];
        content.read_at(spool, &mut bytes, 0).unwrap();
        bytes
    }

    #[test]
    fn blocks_of_zeros_become_holes() {
        let mut bytes = vec![0; 5 * BLOCK];
        assert_eq!(data(bytes.len() as u64, &[(0, &bytes)]), []);
        bytes[2 * BLOCK + 1] = 1;
        let (offset, length) = (2 * BLOCK as u64, BLOCK as u64);
        assert_eq!(data(bytes.len() as u64, &[(0, &bytes)]), [(offset, length)]);
    }

    #[test]
    fn a_file_without_zeros_keeps_its_extent() {
        let bytes = vec![1; 3 * STEP + 5];
        assert_eq!(data(bytes.len() as u64, &[(0, &bytes)]), [(0, bytes.len() as u64)]);
    }

    #[test]
    fn a_block_of_which_two_extents_hold_parts_is_looked_at_whole() {
        let (zeros, ones) = (vec![0; 1000], vec![1; 1000]);
        let parts: [(u64, &[u8]); 3] = [(0, &zeros), (1000, &ones), (9000, &zeros)];
        assert_eq!(data(20_000, &parts), [(0, 1000), (1000, 1000)]);
    }
}
