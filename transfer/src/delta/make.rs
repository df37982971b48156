//! Making a delta, file against file.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Write};
use std::num::NonZero;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use bidiff::{DiffParams, Match, diff};
use pintle_verify::verity::Leaf;

use super::pairs::{Extent, Older, Part, parts};
use super::write::Writer;
use crate::Error;
use crate::block_file::offset;

/// An image and what is known about it.
#[derive(Clone, Copy)]
pub struct Side<'s> {
    /// The image.
    pub image: &'s File,
    /// The leaves of its tree.
    pub leaves: &'s [Leaf],
    /// Where the data of its files is. Without it the delta is larger.
    pub files: &'s [Extent],
}

/// Sorting the suffixes of a file takes four times its size in memory; larger ones are compared block by block.
const MAX_SORTED: u64 = 128 << 20;

/// Writes what makes `new` out of `old`: the same bytes for the same images. `progress` is told how many blocks more are done.
pub fn make(
    old: &Side<'_>,
    new: &Side<'_>,
    out: impl Write,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(), Error> {
    let maker = Maker { old, new, known: known(old.leaves) };
    let older = Older::of(old.files, old.leaves.len() as u64);
    let parts = parts(new.files, new.leaves.len() as u64);
    let found =
        maker.compare_all(&parts, &older, progress).map_err(Error::file("read", "image"))?;
    let mut writer = Writer::new().map_err(Error::file("write", "delta"))?;
    for (part, found) in parts.iter().zip(&found) {
        maker.write(part, found, &mut writer).map_err(Error::file("write", "delta"))?;
    }
    writer.compress(out).map_err(Error::file("write", "delta"))
}

/// How a part is made.
enum Found {
    /// Of whole blocks, and what is new.
    Blocks,
    /// Of these bytes of the older image.
    Like(Range<u64>, Vec<Match>),
}

struct Maker<'m> {
    old: &'m Side<'m>,
    new: &'m Side<'m>,
    /// The first of the older image's blocks with this hash.
    known: HashMap<&'m Leaf, u64>,
}

fn known(leaves: &[Leaf]) -> HashMap<&Leaf, u64> {
    let mut known = HashMap::new();
    for (number, leaf) in (0..).zip(leaves) {
        known.entry(leaf).or_insert(number);
    }
    known
}

impl Maker<'_> {
    /// Compares the parts on all processors; what is found does not depend on how many there are.
    fn compare_all(
        &self,
        parts: &[Part],
        older: &Older,
        progress: &(dyn Fn(u64) + Sync),
    ) -> io::Result<Vec<Found>> {
        let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let work = || -> io::Result<()> {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(part) = parts.get(number) else { return Ok(()) };
                let one = self.compare(part, older)?;
                found.lock().unwrap_or_else(PoisonError::into_inner).push((number, one));
                progress(part.blocks.end - part.blocks.start);
            }
        };
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            workers.into_iter().map(|worker| worker.join()).try_for_each(|done| {
                done.unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
            })
        })?;
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.sort_by_key(|(number, _)| *number);
        Ok(found.into_iter().map(|(_, one)| one).collect())
    }

    fn compare(&self, part: &Part, older: &Older) -> io::Result<Found> {
        let leaves = self.leaves(&part.blocks);
        if leaves.iter().all(|leaf| self.known.contains_key(leaf)) {
            return Ok(Found::Blocks);
        }
        let sortable = |blocks: &Range<u64>| offset(blocks.end - blocks.start) <= MAX_SORTED;
        let Some(like) = older.like(part).filter(|like| sortable(like) && sortable(&part.blocks))
        else {
            return Ok(Found::Blocks);
        };
        let (from, to) = (read(self.old.image, &like)?, read(self.new.image, &part.blocks)?);
        let mut matches = Vec::new();
        let done = diff(&from, &to, &DiffParams::default(), |found| {
            matches.push(found);
            Ok::<(), Infallible>(())
        });
        done.map(|()| Found::Like(like, matches)).map_err(io::Error::other)
    }

    fn write(&self, part: &Part, found: &Found, out: &mut Writer) -> io::Result<()> {
        match found {
            Found::Blocks => self.write_blocks(&part.blocks, out),
            Found::Like(like, matches) => self.write_alike(part, (like, matches), out),
        }
    }

    fn write_alike(
        &self,
        part: &Part,
        (like, matches): (&Range<u64>, &[Match]),
        out: &mut Writer,
    ) -> io::Result<()> {
        let (from, to) = (read(self.old.image, like)?, read(self.new.image, &part.blocks)?);
        for found in matches {
            let (old, new) = (found.add_old_start, found.add_new_start);
            let from = piece(&from, old..old + found.add_length)?;
            let alike = piece(&to, new..new + found.add_length)?;
            out.alike(offset(like.start) + old as u64, from, alike)?;
            out.new_bytes(piece(&to, found.copy_start()..found.copy_end)?)?;
        }
        Ok(())
    }

    /// Each block that the older image has is copied; the block behind the last one goes first.
    fn write_blocks(&self, blocks: &Range<u64>, out: &mut Writer) -> io::Result<()> {
        let mut behind = None;
        for number in blocks.clone() {
            let found = self.find(number, behind);
            match found {
                Some(place) => out.copy(offset(place), offset(1))?,
                None => out.new_bytes(&read(self.new.image, &(number..number + 1))?)?,
            }
            behind = found.map(|place| place + 1);
        }
        Ok(())
    }

    fn find(&self, number: u64, behind: Option<u64>) -> Option<u64> {
        let leaf = self.new.leaves.get(number as usize)?;
        let is_next = |place: &u64| self.old.leaves.get(*place as usize) == Some(leaf);
        behind.filter(is_next).or_else(|| self.known.get(leaf).copied())
    }

    fn leaves(&self, blocks: &Range<u64>) -> &[Leaf] {
        self.new.leaves.get(blocks.start as usize..blocks.end as usize).unwrap_or_default()
    }
}

fn piece(bytes: &[u8], range: Range<usize>) -> io::Result<&[u8]> {
    bytes.get(range).ok_or_else(|| io::Error::other("a match outside of what was compared"))
}

fn read(image: &File, blocks: &Range<u64>) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; offset(blocks.end - blocks.start) as usize];
    image.read_exact_at(&mut bytes, offset(blocks.start))?;
    Ok(bytes)
}
