//! Which part of an older image a part of a new one is likely to be made of.

use std::collections::BTreeMap;
use std::ops::Range;

/// The data of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Extent {
    /// Its blocks in the image.
    pub blocks: Range<u64>,
    /// Its path, or one of them.
    pub path: Vec<u8>,
}

/// An image, cut where files begin and end. What lies between files is what the file system says about them.
pub(super) fn parts(files: &[Extent], blocks: u64) -> Vec<Part> {
    let sorted: BTreeMap<u64, &Extent> =
        files.iter().map(|file| (file.blocks.start, file)).collect();
    let (mut parts, mut from) = (Vec::new(), 0);
    for (start, file) in sorted {
        let end = file.blocks.end.min(blocks);
        if start < from || start >= end {
            continue;
        }
        if start > from {
            parts.push(Part { blocks: from..start, path: None });
        }
        parts.push(Part { blocks: start..end, path: Some(file.path.clone()) });
        from = end;
    }
    if from < blocks {
        parts.push(Part { blocks: from..blocks, path: None });
    }
    parts
}

/// A part of an image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Part {
    pub(super) blocks: Range<u64>,
    /// Nothing for what is no file's.
    pub(super) path: Option<Vec<u8>>,
}

/// The parts of an older image, by what they are called.
pub(super) struct Older {
    by_path: BTreeMap<Vec<u8>, Range<u64>>,
    /// By the path without the numbers in it, which change with versions.
    by_shape: BTreeMap<Vec<u8>, Vec<Range<u64>>>,
    /// By the last component of the shape.
    by_name: BTreeMap<Vec<u8>, Vec<Range<u64>>>,
    /// The largest part that is no file's.
    rest: Option<Range<u64>>,
}

impl Older {
    pub(super) fn of(files: &[Extent], blocks: u64) -> Self {
        let rest = parts(files, blocks).into_iter().filter(|part| part.path.is_none());
        let rest = rest.map(|part| part.blocks).max_by_key(length);
        let mut older = Self {
            by_path: BTreeMap::new(),
            by_shape: BTreeMap::new(),
            by_name: BTreeMap::new(),
            rest,
        };
        // In an order that does not depend on the caller's.
        let mut sorted: Vec<_> = files.iter().filter(|file| !file.blocks.is_empty()).collect();
        sorted.sort_by_key(|file| (&file.path, file.blocks.start));
        for Extent { blocks: data, path } in sorted {
            let shape = shape(path);
            older.by_name.entry(name(&shape).to_vec()).or_default().push(data.clone());
            older.by_shape.entry(shape).or_default().push(data.clone());
            older.by_path.insert(path.clone(), data.clone());
        }
        older
    }

    /// What `part` is likely to be made of.
    pub(super) fn like(&self, part: &Part) -> Option<Range<u64>> {
        let Some(path) = &part.path else { return self.rest.clone() };
        if let Some(same) = self.by_path.get(path) {
            return Some(same.clone());
        }
        let shape = shape(path);
        let found = self.by_shape.get(&shape).or_else(|| self.by_name.get(name(&shape)))?;
        found.iter().min_by_key(|one| length(one).abs_diff(length(&part.blocks))).cloned()
    }
}

fn length(blocks: &Range<u64>) -> u64 {
    blocks.end - blocks.start
}

/// A path with each number in it replaced by one mark.
fn shape(path: &[u8]) -> Vec<u8> {
    let mut shape: Vec<u8> =
        path.iter().map(|byte| if byte.is_ascii_digit() { b'0' } else { *byte }).collect();
    shape.dedup_by(|a, b| *a == b'0' && *b == b'0');
    shape
}

fn name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, blocks: Range<u64>) -> Extent {
        Extent { blocks, path: path.into() }
    }

    #[test]
    fn an_image_is_cut_into_files_and_what_lies_between() {
        let files =
            [file("/b", 5..7), file("/a", 2..5), file("/link-to-b", 5..7), file("/e", 9..9)];
        let cut: Vec<_> =
            parts(&files, 10).into_iter().map(|p| (p.blocks, p.path.is_some())).collect();
        assert_eq!(cut, [(0..2, false), (2..5, true), (5..7, true), (7..10, false)]);
    }

    #[test]
    fn a_file_is_like_the_one_of_its_path_its_shape_or_its_name() {
        let older = Older::of(
            &[
                file("/lib/libc.so.6.1", 10..20),
                file("/lib/libc.so.6.2", 20..40),
                file("/lib/modules/6.1.0-42-amd64/a.ko", 40..50),
                file("/usr/share/b", 50..60),
            ],
            80,
        );
        let like = |path: &str, blocks| older.like(&Part { blocks, path: Some(path.into()) });
        assert_eq!(like("/lib/libc.so.6.2", 0..1), Some(20..40));
        assert_eq!(like("/lib/libc.so.6.3", 0..12), Some(10..20));
        assert_eq!(like("/lib/modules/6.1.0-47-amd64/a.ko", 0..1), Some(40..50));
        assert_eq!(like("/opt/b", 0..1), Some(50..60));
        assert_eq!(like("/new", 0..1), None);
        assert_eq!(older.like(&Part { blocks: 0..1, path: None }), Some(60..80));
    }
}
