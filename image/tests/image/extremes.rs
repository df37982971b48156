//! Trees as large as they come.

use crate::facts;
use crate::written::Written;
use crate::zoo::{Zoo, noise};
use pintle_image::erofs::read::Image;
use pintle_image::tree::{Body, Inode};
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

#[test]
fn a_hundred_thousand_names_in_a_directory() {
    let mut zoo = Zoo::empty();
    let parent = zoo.tree.make_directories(b"many").unwrap();
    for i in 0..100_000 {
        let inode = Inode { mtime: i, ..Inode::new(0o600, Body::Fifo) };
        zoo.tree.insert(parent, format!("name-{i}").as_bytes(), inode).unwrap();
    }
    let written = Written::new(&zoo.tree, &zoo.spool);
    written.fsck();
    let image = Image::open(written.open()).unwrap();
    assert!(facts::of_image(&image) == facts::of_tree(&zoo.tree, &zoo.spool));
    let mounted = written.mount();
    assert_eq!(fs::read_dir(mounted.path().join("many")).unwrap().count(), 100_000);
    for i in (0..100_000).step_by(97) {
        let found = fs::symlink_metadata(mounted.path().join(format!("many/name-{i}"))).unwrap();
        assert_eq!(found.mtime(), i);
    }
}

#[test]
fn seventy_thousand_names_of_a_file_and_directories_in_a_directory() {
    let mut zoo = Zoo::empty();
    let file = zoo.file("file", 10);
    let links = zoo.tree.make_directories(b"links").unwrap();
    let directories = zoo.tree.make_directories(b"directories").unwrap();
    for i in 0..70_000 {
        let name = i.to_string();
        zoo.tree.link(links, name.as_bytes(), file).unwrap();
        zoo.tree.insert(directories, name.as_bytes(), Inode::implied_directory()).unwrap();
    }
    let written = Written::new(&zoo.tree, &zoo.spool);
    written.fsck();
    let mounted = written.mount();
    let links_of = |path: &str| fs::metadata(mounted.path().join(path)).unwrap().nlink();
    assert_eq!(links_of("file"), 70_001);
    assert_eq!(links_of("links/69999"), 70_001);
    assert_eq!(links_of("directories"), 70_002);
}

#[test]
fn a_terabyte_with_little_in_it_takes_little() {
    let (tib, mib) = (1 << 40, 1 << 20);
    let data = [(0, 10), (5 << 30, mib), (tib - 3, 3)];
    let mut zoo = Zoo::empty();
    zoo.sparse("sparse", tib, &data);
    zoo.sparse("empty", i64::MAX as u64, &[]);
    let written = Written::new(&zoo.tree, &zoo.spool);
    assert!(written.open().metadata().unwrap().len() < 16 * mib);
    let mounted = written.mount();
    assert_eq!(fs::metadata(mounted.path().join("empty")).unwrap().len(), i64::MAX as u64);
    let path = mounted.path().join("sparse");
    assert_eq!(fs::metadata(&path).unwrap().len(), tib);
    assert_windows(&path, &data);
}

/// Compares the surroundings of each run of data, and the data, with what `Zoo::sparse` wrote.
fn assert_windows(path: &Path, data: &[(u64, u64)]) {
    let (file, around) = (File::open(path).unwrap(), 100_000);
    let size = file.metadata().unwrap().len();
    for (offset, length) in data {
        let (from, to) = (offset.saturating_sub(around), (offset + length + around).min(size));
        let mut expected = vec![0; (to - from) as usize];
        let start = (offset - from) as usize;
        expected[start..start + *length as usize]
            .copy_from_slice(&noise("sparse", *length as usize));
        let mut found = vec![0xff; expected.len()];
        file.read_exact_at(&mut found, from).unwrap();
        assert!(found == expected, "around {offset}");
    }
}

#[test]
fn paths_as_deep_as_a_path_can_be() {
    let mut zoo = Zoo::empty();
    let deep = vec!["d"; 2047].join("/");
    zoo.tree.make_directories(deep.as_bytes()).unwrap();
    let written = Written::new(&zoo.tree, &zoo.spool);
    let image = Image::open(written.open()).unwrap();
    assert_eq!(facts::of_image(&image), facts::of_tree(&zoo.tree, &zoo.spool));
}
