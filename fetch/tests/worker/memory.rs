//! How little memory the worker needs.

use crate::network;
use crate::published::{Published, with_delta};
use crate::support::{image, release};

/// All of its address space: its code, its stack, and whatever it allocates.
const MEMORY: u64 = 64 << 20;

/// A quarter of a gibibyte, most of which is a few blocks over and over: it is made and sent in seconds, and the worker needs
/// to know as much of it as of every other image of that size.
const BLOCKS: u64 = 1 << 16;

fn new_image() -> Vec<u8> {
    image((0..BLOCKS).map(|number| if number % 8 == 0 { number + 1 } else { number % 7 }))
}

/// An eighth of the others is not in it.
fn old_image() -> Vec<u8> {
    image((0..BLOCKS).map(|number| match (number % 8, number >> 10 & 7) {
        (0, 0) => number + BLOCKS,
        (0, _) => number + 1,
        _ => number % 5,
    }))
}

#[test]
fn whichever_way_an_image_comes_the_worker_needs_no_more_than_64_mib() {
    network::enter();
    let old = old_image();
    let published = Published::new(release(new_image()));
    fits(&published, &[], "in full: ");
    fits(&published, &old, "by blocks: ");
    fits(&Published::new(with_delta(published.release, &old)), &old, "by delta: ");
}

fn fits(published: &Published, old: &[u8], way: &str) {
    let machine = published.machine(old);
    let worker = published.fetch_within(&machine, &published.host(), Some(MEMORY));
    let (heard, peak) = worker.hear_and_watch();
    published.is_fetched(&machine, &heard);
    assert!(format!("{heard:?}").contains(way), "{heard:?}");
    println!("{way}{} KiB were in memory", peak >> 10);
}
