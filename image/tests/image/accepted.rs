//! What is written is what everybody reads.

use crate::facts::{self, Facts};
use crate::written::Written;
use crate::zoo::Zoo;
use pintle_image::erofs::read::Image;

#[test]
fn our_reader_sees_the_tree() {
    let zoo = Zoo::full();
    let written = Written::new(&zoo.tree, &zoo.spool);
    let image = Image::open(written.open()).unwrap();
    assert_same(&facts::of_image(&image), &facts::of_tree(&zoo.tree, &zoo.spool));
}

#[test]
fn fsck_accepts() {
    let zoo = Zoo::full();
    Written::new(&zoo.tree, &zoo.spool).fsck();
}

#[test]
fn the_kernel_sees_the_tree() {
    let zoo = Zoo::full();
    let written = Written::new(&zoo.tree, &zoo.spool);
    let mounted = written.mount();
    assert_same(&facts::of_directory(mounted.path()), &facts::of_tree(&zoo.tree, &zoo.spool));
}

fn assert_same(found: &Facts, expected: &Facts) {
    for (path, fact) in expected {
        assert_eq!(found.get(path), Some(fact), "{}", path.escape_ascii());
    }
    assert_eq!(found.len(), expected.len());
}
