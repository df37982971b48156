//! Sparse files: GNU tar's old format and its three PAX formats (GNU tar manual, "Storing Sparse
//! Files").

use serde::{Deserialize, Serialize};

use super::number;
use super::pax::Sparse;
use crate::layer::{Fault, Input};

/// Runs of data that a file may have; the map of a file stays in memory while it is read.
const RUNS_MAX: usize = 65_536;

/// A run of a file's data.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Run {
    /// Where in the file, in bytes.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
}

/// Which bytes of a file are stored: the runs, in order and apart from each other; the rest reads
/// as zeros.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Map {
    /// The file's size with its holes, in bytes.
    pub size: u64,
    /// What is stored.
    pub runs: Vec<Run>,
}

impl Map {
    /// A file without holes.
    pub(super) fn dense(size: u64) -> Self {
        let runs = if size == 0 { Vec::new() } else { vec![Run { offset: 0, length: size }] };
        Self { size, runs }
    }

    /// A map of a file of `size` bytes of which `stored` are stored, if it holds together.
    fn new(size: u64, pairs: Pairs, stored: u64) -> Result<Self, Fault> {
        let runs = pairs.runs()?;
        check(&runs, size, stored)?;
        Ok(Self { size, runs: join(runs) })
    }

    /// How many bytes of the file are not stored.
    pub(crate) fn holes(&self) -> u64 {
        self.size - self.runs.iter().map(|run| run.length).sum::<u64>()
    }
}

/// How a PAX header says that a file's map is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Layout {
    /// The file is not sparse.
    Dense,
    /// Formats 0.0 and 0.1: in the PAX header.
    Listed { size: u64, pairs: Pairs },
    /// Format 1.0: in front of the data.
    InFront { size: u64 },
}

impl Layout {
    pub(super) fn of(records: Sparse) -> Result<Self, Fault> {
        if records == Sparse::default() {
            return Ok(Self::Dense);
        }
        let size = records.size.ok_or(Fault::Sparse("the file's size is missing"))?;
        match (records.major, records.minor) {
            (Some(1), Some(0)) if records.pairs.0.is_empty() => Ok(Self::InFront { size }),
            (None, None) | (Some(0), Some(0 | 1)) => Self::listed(size, records),
            _ => Err(Fault::Sparse("an unknown format")),
        }
    }

    fn listed(size: u64, records: Sparse) -> Result<Self, Fault> {
        let runs = records.pairs.0.len() as u64 / 2;
        if records.count.is_some_and(|count| count != runs) {
            return Err(Fault::Sparse("not as many runs as it says"));
        }
        Ok(Self::Listed { size, pairs: records.pairs })
    }

    /// Reads the map where it stands. `stored` is the size of the entry's data, and is less what
    /// was read of it after.
    pub(super) fn read(self, input: &mut impl Input, stored: &mut u64) -> Result<Map, Fault> {
        match self {
            Self::Dense => Ok(Map::dense(*stored)),
            Self::Listed { size, pairs } => Map::new(size, pairs, *stored),
            Self::InFront { size } => {
                let pairs = Front::new(input, stored).pairs()?;
                Map::new(size, pairs, *stored)
            }
        }
    }
}

/// Offsets and lengths in turn, as they come in.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Pairs(Vec<u64>);

impl Pairs {
    /// Format 0.1: numbers with commas between them.
    pub(super) fn listed(text: &[u8]) -> Result<Self, Fault> {
        let mut pairs = Self::default();
        for number in text.split(|byte| *byte == b',') {
            pairs.push(number::decimal(number).ok_or(NOT_A_NUMBER)?)?;
        }
        Ok(pairs)
    }

    pub(super) fn push(&mut self, number: u64) -> Result<(), Fault> {
        if self.0.len() == 2 * RUNS_MAX {
            return Err(Fault::Limit { what: "runs in a sparse file", limit: RUNS_MAX as u64 });
        }
        self.0.push(number);
        Ok(())
    }

    fn runs(&self) -> Result<Vec<Run>, Fault> {
        let (pairs, []) = self.0.as_chunks() else {
            return Err(Fault::Sparse("an offset without a length"));
        };
        Ok(pairs.iter().map(|&[offset, length]| Run { offset, length }).collect())
    }
}

const NOT_A_NUMBER: Fault = Fault::Sparse("a number is missing");

/// The old format: a first part of the map in the header, more in blocks behind it.
pub(super) struct Old {
    pairs: Pairs,
    more: bool,
}

impl Old {
    const SLOT: usize = 24;
    const MORE: usize = 504;

    /// From the map's part in the header, and whether more follows.
    pub(super) fn new((slots, more): (&[u8], bool)) -> Result<Self, Fault> {
        let mut old = Self { pairs: Pairs::default(), more };
        old.take(slots)?;
        Ok(old)
    }

    pub(super) fn wants_more(&self) -> bool {
        self.more
    }

    pub(super) fn block(&mut self, block: &[u8; 512]) -> Result<(), Fault> {
        self.more = block[Self::MORE] != 0;
        self.take(&block[..Self::MORE])
    }

    pub(super) fn finish(self, size: u64, stored: u64) -> Result<Map, Fault> {
        Map::new(size, self.pairs, stored)
    }

    /// Slots that are not used are all NUL.
    fn take(&mut self, slots: &[u8]) -> Result<(), Fault> {
        for slot in slots.chunks_exact(Self::SLOT).take_while(|slot| slot[0] != 0) {
            self.pairs.push(number::within(&slot[..12], "sparse offset")?)?;
            self.pairs.push(number::within(&slot[12..], "sparse length")?)?;
        }
        Ok(())
    }
}

/// Format 1.0: decimal numbers, one a line: how many runs, then offset and length of each; padded
/// to a block.
struct Front<'i, I> {
    input: &'i mut I,
    stored: &'i mut u64,
    read: u64,
}

impl<'i, I: Input> Front<'i, I> {
    fn new(input: &'i mut I, stored: &'i mut u64) -> Self {
        Self { input, stored, read: 0 }
    }

    fn pairs(mut self) -> Result<Pairs, Fault> {
        let count = self.number()?;
        let mut pairs = Pairs::default();
        for _ in 0..count.saturating_mul(2) {
            pairs.push(self.number()?)?;
        }
        let padding = self.read.next_multiple_of(512) - self.read;
        (0..padding).try_for_each(|_| self.byte().map(drop))?;
        Ok(pairs)
    }

    fn number(&mut self) -> Result<u64, Fault> {
        let mut digits = Vec::with_capacity(20);
        loop {
            match self.byte()? {
                b'\n' => return number::decimal(&digits).ok_or(NOT_A_NUMBER),
                digit if digits.len() < 20 => digits.push(digit),
                _ => return Err(NOT_A_NUMBER),
            }
        }
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        *self.stored = self.stored.checked_sub(1).ok_or(Fault::Truncated("a sparse map"))?;
        let byte = *self.input.fill()?.first().ok_or(Fault::Truncated("a sparse map"))?;
        self.input.consume(1);
        self.read += 1;
        Ok(byte)
    }
}

fn check(runs: &[Run], size: u64, stored: u64) -> Result<(), Fault> {
    let mut end = 0;
    let mut sum = 0u64;
    for run in runs {
        if run.offset < end {
            return Err(Fault::Sparse("runs that overlap or are out of order"));
        }
        end = run.offset.checked_add(run.length).ok_or(Fault::Range("sparse offset"))?;
        sum += run.length;
    }
    match (end <= size && size <= super::SIZE_MAX, sum == stored) {
        (true, true) => Ok(()),
        (false, _) => Err(Fault::Sparse("a run past the end of the file")),
        (_, false) => Err(Fault::Sparse("the runs are not the data that is stored")),
    }
}

/// Leaves out empty runs, and makes one of those that touch.
fn join(runs: Vec<Run>) -> Vec<Run> {
    let mut joined: Vec<Run> = Vec::with_capacity(runs.len());
    for run in runs.into_iter().filter(|run| run.length > 0) {
        match joined.last_mut() {
            Some(last) if last.offset + last.length == run.offset => last.length += run.length,
            _ => joined.push(run),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(size: u64, numbers: &[u64], stored: u64) -> Result<Map, Fault> {
        Map::new(size, Pairs(numbers.to_vec()), stored)
    }

    #[test]
    fn runs_that_touch_are_one_and_empty_ones_none() {
        let map = map(20, &[2, 3, 5, 1, 10, 2, 20, 0], 6).unwrap();
        let runs = [Run { offset: 2, length: 4 }, Run { offset: 10, length: 2 }];
        assert_eq!((map.size, &*map.runs, map.holes()), (20, &runs[..], 14));
    }

    #[test]
    fn maps_that_contradict_themselves() {
        let wrong: &[(u64, &[u64], u64, &str)] = &[
            (10, &[0], 0, "an offset without a length"),
            (10, &[0, 4, 3, 4], 8, "runs that overlap or are out of order"),
            (10, &[8, 1, 0, 1], 2, "runs that overlap or are out of order"),
            (10, &[8, 4], 4, "a run past the end of the file"),
            (10, &[0, 4], 5, "the runs are not the data that is stored"),
            (10, &[u64::MAX, 1], 1, "out of range"),
        ];
        for (size, numbers, stored, why) in wrong {
            let fault = map(*size, numbers, *stored).unwrap_err().to_string();
            assert!(fault.ends_with(why), "{numbers:?}: {fault}");
        }
    }

    #[test]
    fn a_map_in_front_of_the_data_is_taken_off_it() {
        let mut bytes = b"2\n0\n3\n100\n2\n".to_vec();
        bytes.resize(512, 0);
        bytes.extend(b"abcde");
        let (mut input, mut stored) = (&bytes[..], bytes.len() as u64);
        let map = Layout::InFront { size: 102 }.read(&mut input, &mut stored).unwrap();
        assert_eq!((map.runs.len(), stored, input), (2, 5, &b"abcde"[..]));
    }

    #[test]
    fn a_map_in_front_that_lies() {
        for text in ["9999999999\n0\n1\n", "1\n0\n", "x\n", "-1\n", "1\n000000000000000000000\n0\n"]
        {
            let mut bytes = text.as_bytes().to_vec();
            bytes.resize(512, 0);
            let (mut input, mut stored) = (&bytes[..], 512);
            let read = Layout::InFront { size: 1 << 40 }.read(&mut input, &mut stored);
            assert!(read.is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_number_of_runs_has_a_limit() {
        let text = vec!["0"; 2 * RUNS_MAX + 1].join(",");
        let fault = Pairs::listed(text.as_bytes()).unwrap_err();
        assert_eq!(fault.to_string(), "more than 65536 runs in a sparse file");
    }
}
