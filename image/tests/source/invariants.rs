//! What must hold for any bytes at all. The fuzz targets (fuzz/fuzz_targets/image_*.rs) and the
//! seeded mutations (mutations.rs) run the same functions.

use std::io::Write;

use pintle_image::layer::tar::{Entries, Entry, Kind};
use pintle_image::layer::{Blob, Compression, Layer, Limits, Subject, merge};
use pintle_image::progress::Silent;
use pintle_image::source::document;
use pintle_image::spool::Spool;
use pintle_image::tree::{Body, Content, InodeId, Tree};
use pintle_verify::Digest;

use crate::tarball::{Member, tar};

/// Any bytes are a tar or refused; entries come in the order of the archive, never hold more data
/// than it has, and their sparse maps hold together. Returns how many there are.
pub(crate) fn tars_are_read_or_refused(bytes: &[u8]) -> usize {
    let mut entries = Entries::new(bytes);
    let (mut count, mut stored, mut last) = (0, 0, None);
    while let Ok(Some(entry)) = entries.next_entry() {
        assert!(Some(entry.at) > last && entry.at < bytes.len() as u64);
        assert!(entry.mode <= 0o7777 && entry.mtime_nanos < 1_000_000_000);
        assert!(!entry.path.contains(&0));
        last = Some(entry.at);
        stored += data_of(&entry, &mut entries);
        count += 1;
    }
    assert!(stored <= bytes.len() as u64);
    count
}

fn data_of(entry: &Entry, entries: &mut Entries<&[u8]>) -> u64 {
    let mut read = 0;
    let whole = entries.read_data(|bytes| {
        read += bytes.len() as u64;
        Ok(())
    });
    let Kind::File(map) = &entry.kind else {
        assert_eq!(read, 0);
        return 0;
    };
    let mut end = 0;
    for run in &map.runs {
        assert!(run.length > 0 && (run.offset > end || end == 0));
        end = run.offset + run.length;
    }
    assert!(end <= map.size && map.size <= i64::MAX as u64);
    let stored: u64 = map.runs.iter().map(|run| run.length).sum();
    assert!(if whole.is_ok() { read == stored } else { read < stored });
    read
}

/// Any bytes are PAX records or refused; what they say is within Linux's limits.
pub(crate) fn pax_records_are_read_or_refused(bytes: &[u8]) -> usize {
    let archive = tar([Member::file("a", "").pax_bytes(bytes)]);
    let Ok(Some(entry)) = Entries::new(&*archive).next_entry() else { return 0 };
    assert!(entry.uid < u32::MAX && entry.gid < u32::MAX);
    for xattr in &entry.xattrs {
        assert!((1..=255).contains(&xattr.name.len()) && xattr.value.len() <= 65_536);
        assert!(!xattr.name.contains(&0));
    }
    1
}

/// Any bytes are a document or refused; lists keep their limits.
pub(crate) fn documents_are_read_or_refused(bytes: &[u8]) -> usize {
    let index = document::index(bytes);
    let manifest = document::manifest(bytes);
    // CVE-2021-41190: never both.
    assert!(index.is_err() || manifest.is_err());
    let config = document::config(bytes);
    let saved = document::saved(bytes);
    assert!(index.as_ref().is_ok_and(|index| index.manifests().len() <= 1024) || index.is_err());
    if let Ok(manifest) = &manifest {
        assert!(manifest.layers().len() <= 512);
        manifest.layers().iter().for_each(|layer| drop(document::compression(layer)));
    }
    [index.is_ok(), manifest.is_ok(), config.is_ok(), saved.is_ok()].map(usize::from).iter().sum()
}

/// Any name is about something inside the image, or refused.
pub(crate) fn names_stay_inside(name: &[u8]) -> usize {
    match Subject::parse(name) {
        Ok(Subject::Path(path)) => check_path(path),
        Ok(Subject::Whiteout { directory, name }) => {
            assert!(directory.is_empty() || check_path(directory) == 1);
            assert!(!matches!(name, b"" | b"." | b"..") && !name.contains(&b'/'));
            1
        }
        Ok(Subject::Opaque { directory }) => {
            assert!(directory.is_empty() || check_path(directory) == 1);
            1
        }
        Ok(Subject::Root) => 1,
        Err(_) => 0,
    }
}

fn check_path(path: &[u8]) -> usize {
    assert!((1..=4095).contains(&path.len()) && !path.contains(&0));
    for name in path.split(|byte| *byte == b'/') {
        assert!(!matches!(name, b"" | b"." | b"..") && name.len() <= 255);
        assert!(!name.starts_with(b".wh."));
    }
    1
}

/// Any bytes, cut into layers, are a tree that is one, or refused.
pub(crate) fn layers_are_merged_or_refused(layers: &[&[u8]]) -> usize {
    let spool = Spool::within(&std::env::temp_dir()).unwrap();
    let layers: Vec<_> = layers.iter().map(|bytes| layer(bytes)).collect();
    let limits = Limits { bytes: 1 << 24, entries: 10_000, metadata: 1 << 20, ratio: 256 };
    let Ok(tree) = merge(&layers, &spool, limits, &Silent) else { return 0 };
    check_tree(&tree, &spool);
    tree.files()
}

/// What a compressed layer of [`compressed_layers_are_what_they_are_called`] must hold.
pub(crate) fn what_is_compressed() -> Vec<u8> {
    tar([Member::directory("d"), Member::file("d/f", "content".repeat(100))])
}

/// Any bytes are refused as a compressed layer, or unpack to the bytes that the layer is named by.
pub(crate) fn compressed_layers_are_what_they_are_called(bytes: &[u8]) -> usize {
    let spool = Spool::within(&std::env::temp_dir()).unwrap();
    let diff_id = Digest::of(&what_is_compressed());
    let limits = Limits { bytes: 1 << 24, entries: 10_000, metadata: 1 << 20, ratio: 256 };
    let unpacks = |compression| {
        let layer = Layer { compression, diff_id, digest: None, ..layer(bytes) };
        let Ok(tree) = merge(&[layer], &spool, limits, &Silent) else { return 0 };
        assert_eq!(tree.files(), 3);
        1
    };
    [Compression::Gzip, Compression::Zstd].map(unpacks).iter().sum()
}

fn layer(bytes: &[u8]) -> Layer {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    let digest = Digest::of(bytes);
    let blob = Blob::whole(file).unwrap();
    Layer { blob, digest: Some(digest), compression: Compression::None, diff_id: digest }
}

/// Every name leads to an inode of as many links as there are names, and every inode has a name.
fn check_tree(tree: &Tree, spool: &Spool) {
    let mut links = vec![0; tree.capacity()];
    links[tree.root().index()] = 2;
    for (path, id) in tree.walk() {
        check_path(&path);
        let directory = tree.inode(id).is_directory();
        links[id.index()] += if directory { 2 } else { 1 };
        if directory {
            links[parent(tree, &path).index()] += 1;
        }
        if let Body::File(content) = &tree.inode(id).body {
            check_content(content, spool);
        }
    }
    assert_eq!(links.iter().filter(|count| **count > 0).count(), tree.files());
    for (_, id) in tree.walk() {
        assert_eq!(tree.links(id), links[id.index()]);
    }
    assert_eq!(tree.links(tree.root()), links[tree.root().index()]);
}

fn parent(tree: &Tree, path: &[u8]) -> InodeId {
    let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    tree.lookup(&path[..end]).unwrap()
}

/// Every byte of every run can be read.
fn check_content(content: &Content, spool: &Spool) {
    for run in &content.extents {
        let mut last = [0];
        spool.read_at(&mut last, run.spool + run.length - 1).unwrap();
    }
}
