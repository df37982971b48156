//! Equal trees give equal bytes.

use crate::written::image_bytes;
use crate::zoo::{Zoo, noise};
use pintle_image::erofs::format::BLOCK;
use pintle_image::erofs::write::Layout;
use pintle_image::tree::{Body, Content, Extent, Inode};

/// A way to make the same directory of files.
type Way = fn(&mut Zoo);

#[test]
fn the_order_in_which_a_tree_was_made_does_not_show() {
    let ways: [Way; 2] = [
        |zoo| ["a", "b/c", "d"].iter().for_each(|path| zoo.put(path, 5000)),
        |zoo| {
            zoo.file("gone", 9000);
            ["d", "b/c", "a"].iter().for_each(|path| zoo.put(path, 5000));
            zoo.tree.remove(zoo.tree.root(), b"gone").unwrap();
        },
    ];
    assert_equal(ways);
}

#[test]
fn the_name_that_came_first_of_two_links_does_not_show() {
    let ways: [Way; 2] = [
        |zoo| {
            let file = zoo.file("same", 10);
            zoo.tree.link(zoo.tree.root(), b"z", file).unwrap();
            zoo.tree.link(zoo.tree.root(), b"a", file).unwrap();
            zoo.tree.remove(zoo.tree.root(), b"same").unwrap();
        },
        |zoo| {
            let file = zoo.file("same", 10);
            zoo.tree.link(zoo.tree.root(), b"a", file).unwrap();
            zoo.tree.link(zoo.tree.root(), b"z", file).unwrap();
            zoo.tree.remove(zoo.tree.root(), b"same").unwrap();
        },
    ];
    assert_equal(ways);
}

#[test]
fn how_data_is_cut_into_extents_does_not_show() {
    let ways: [Way; 2] = [
        |zoo| zoo.put("f", 300_000),
        |zoo| {
            let bytes = noise("f", 300_000);
            let extents = bytes.chunks(7001).enumerate().map(|(i, part)| Extent {
                offset: i as u64 * 7001,
                length: part.len() as u64,
                spool: zoo.spool.append(part).unwrap(),
            });
            let content = Content { size: 300_000, extents: extents.collect() };
            zoo.add("f", Inode::new(0o644, Body::File(content)));
        },
    ];
    assert_equal(ways);
}

#[test]
fn the_pieces_in_which_an_image_is_made_do_not_show() {
    let zoo = Zoo::full();
    let layout = Layout::of(&zoo.tree, [7; 16]).unwrap();
    let whole = image_bytes(&layout, &zoo.spool, layout.blocks());
    for step in [1, 3, 1000] {
        assert!(image_bytes(&layout, &zoo.spool, step) == whole, "in steps of {step} blocks");
    }
}

#[test]
fn a_file_that_grows_by_a_block_changes_few_blocks_of_metadata() {
    let forest = |length| {
        let mut zoo = Zoo::empty();
        (0..3000).for_each(|i| zoo.put(&format!("usr/share/{}/{i}", i % 40), i * 10));
        zoo.file("usr/lib/large", length);
        let layout = Layout::of(&zoo.tree, [7; 16]).unwrap();
        image_bytes(&layout, &zoo.spool, layout.blocks())
    };
    let (old, new) = (forest(1_000_000), forest(1_004_096));
    let old: std::collections::HashSet<_> = old.chunks(BLOCK as usize).collect();
    let new_blocks = new.chunks(BLOCK as usize).filter(|block| !old.contains(block)).count();
    // Its own data, the superblock, and the block with its inode.
    assert_eq!(new_blocks, 246 + 1 + 1);
}

fn assert_equal<const N: usize>(ways: [Way; N]) {
    let images = ways.map(|way| {
        let mut zoo = Zoo::empty();
        way(&mut zoo);
        let layout = Layout::of(&zoo.tree, [7; 16]).unwrap();
        image_bytes(&layout, &zoo.spool, layout.blocks())
    });
    assert!(images.windows(2).all(|pair| pair[0] == pair[1]));
}
