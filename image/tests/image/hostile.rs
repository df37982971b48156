//! Images that somebody made to hurt.

use crate::continued::{Ending, Versions};
use crate::invariant;
use crate::written::image_bytes;
use crate::zoo::{Random, Zoo};
use pintle_image::erofs::format::{BLOCK, INODE, SLOT, SUPER_OFFSET};
use pintle_image::erofs::read::{Error, Image};
use pintle_image::erofs::write::Layout;

/// Mutated images that are read. At 20 000 every field has been hit with every kind of value.
const MUTATIONS: usize = 20_000;

#[test]
fn mutated_images_end_in_an_error_or_in_something_else() {
    let good = small_image();
    let all = invariant::check(&good);
    assert_eq!(all, 1 + small_zoo().tree.walk().count());
    let mut random = Random::new("mutations");
    let mut damaged = 0;
    for _ in 0..MUTATIONS {
        let mut bytes = good.clone();
        (0..=random.below(3)).for_each(|_| mutate(&mut bytes, &mut random));
        damaged += usize::from(invariant::check(&bytes) != all);
    }
    // If hardly any did harm, the mutations would miss what they are for.
    assert!(damaged > MUTATIONS / 20, "only {damaged} were noticed");
}

/// Mutated images that others are laid out after.
const AFTER: usize = 3000;

#[test]
fn after_mutated_images_others_are_laid_out_whole_or_not_at_all() {
    let versions = Versions::new();
    let mut good = versions.image();
    assert_eq!(versions.check(&versions.first, &good), Ending::Equal);
    assert_eq!(versions.check(&versions.second, &good), Ending::Other);
    good[SUPER_OFFSET as usize + 8] &= !1;
    let mut random = Random::new("after");
    let mut endings = Vec::new();
    for _ in 0..AFTER {
        let mut bytes = good.clone();
        (0..=random.below(3)).for_each(|_| mutate_metadata(&mut bytes, &mut random));
        endings.push(versions.check(&versions.second, &bytes));
    }
    let refused = endings.iter().filter(|ending| **ending == Ending::Refused).count();
    assert!((AFTER / 20..AFTER * 19 / 20).contains(&refused), "{refused} were refused");
}

#[test]
fn files_that_share_their_blocks_are_no_layout_to_keep() {
    let mut zoo = Zoo::empty();
    (0..100).for_each(|i| zoo.put(&format!("small{i:03}"), 4096));
    zoo.put("zlarge", 4096 * 100);
    let mut bytes = unchecked(&zoo);
    let inodes = at_paths(&bytes, |path| path.starts_with(b"/small") || path == b"/zlarge");
    let (large, small) = inodes.split_last().unwrap();
    small.iter().for_each(|small| bytes.copy_within(*large..*large + INODE, *small));
    let image = Image::open(&*bytes).unwrap();
    let refusal = Layout::after((&zoo.tree, &zoo.spool), [7; 16], &image).map(drop).unwrap_err();
    assert!(refusal.to_string().ends_with("shares its blocks with others"), "{refusal}");
}

#[test]
fn truncated_images_are_refused() {
    let good = small_image();
    for length in (0..good.len()).step_by(509) {
        assert!(Image::open(&good[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn a_changed_superblock_is_noticed() {
    let mut bytes = checked_image();
    bytes[SUPER_OFFSET as usize + 48] ^= 1;
    assert!(matches!(Image::open(&*bytes), Err(Error::Checksum { .. })));
}

#[test]
fn a_directory_inside_itself_ends_the_walk() {
    let mut zoo = Zoo::empty();
    zoo.tree.make_directories(b"a/b").unwrap();
    let mut bytes = unchecked(&zoo);
    let root = Image::open(&*bytes).unwrap();
    let (root_nid, inner) = (root.root(), root.walk().last().unwrap().unwrap().inode.nid);
    replace(&mut bytes, &inner.0.to_le_bytes(), &root_nid.0.to_le_bytes());
    let image = Image::open(&*bytes).unwrap();
    let last = image.walk().last().unwrap();
    assert!(last.unwrap_err().to_string().ends_with("is a directory with two names"));
}

#[test]
fn directories_that_share_their_blocks_end_the_walk() {
    let mut zoo = Zoo::empty();
    let names = (0..5000).map(|i| format!("{i:0100}"));
    let directory = zoo.tree.make_directories(b"big").unwrap();
    let file = zoo.file("file", 0);
    names.for_each(|name| zoo.tree.link(directory, name.as_bytes(), file).unwrap());
    for i in 0..10 {
        zoo.tree.make_directories(format!("small{i}").as_bytes()).unwrap();
    }
    let mut bytes = unchecked(&zoo);
    let inodes: Vec<_> = at_paths(&bytes, |path| path.starts_with(b"/small") || path == b"/big");
    let (big, small) = inodes.split_first().unwrap();
    small.iter().for_each(|small| bytes.copy_within(*big..*big + INODE, *small));
    let last = Image::open(&*bytes).unwrap().walk().last().unwrap();
    assert!(last.unwrap_err().to_string().ends_with("shares its blocks with others"));
}

#[test]
fn names_out_of_order_end_the_walk() {
    let mut zoo = Zoo::empty();
    ["aaaa", "bbbb"].iter().for_each(|name| zoo.put(name, 0));
    let mut bytes = unchecked(&zoo);
    replace(&mut bytes, b"aaaabbbb", b"bbbbaaaa");
    let last = Image::open(&*bytes).unwrap().walk().last().unwrap();
    assert!(last.unwrap_err().to_string().ends_with("has entries out of order"));
}

#[test]
fn a_file_listed_as_another_type_ends_the_walk() {
    let mut zoo = Zoo::empty();
    zoo.put("file", 0);
    let mut bytes = unchecked(&zoo);
    let [inode] = *at_paths(&bytes, |path| path == b"/file") else { panic!("no file") };
    bytes[inode + 5] = 0x11;
    let last = Image::open(&*bytes).unwrap().walk().last().unwrap();
    assert!(last.unwrap_err().to_string().ends_with("is listed as another type"));
}

/// Where the inodes of these paths stand in an image.
fn at_paths(bytes: &[u8], wanted: impl Fn(&[u8]) -> bool) -> Vec<usize> {
    let image = Image::open(bytes).unwrap();
    let start = image.superblock().meta_block.get() as usize * BLOCK as usize;
    let found = image.walk().map(Result::unwrap).filter(|found| wanted(&found.path));
    found.map(|found| start + found.inode.nid.0 as usize * SLOT as usize).collect()
}

/// One of each kind, in as few blocks as possible.
fn small_zoo() -> Zoo {
    let mut zoo = Zoo::empty();
    zoo.small();
    zoo
}

fn small_image() -> Vec<u8> {
    unchecked(&small_zoo())
}

fn checked_image() -> Vec<u8> {
    let zoo = small_zoo();
    let layout = Layout::of(&zoo.tree, [7; 16]).unwrap();
    image_bytes(&layout, &zoo.spool, layout.blocks())
}

/// An image without a superblock checksum, so that mutations get past it.
fn unchecked(zoo: &Zoo) -> Vec<u8> {
    let layout = Layout::of(&zoo.tree, [7; 16]).unwrap();
    let mut bytes = image_bytes(&layout, &zoo.spool, layout.blocks());
    bytes[SUPER_OFFSET as usize + 8] &= !1;
    bytes
}

/// Replaces what stands once.
fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    let at: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(old)).collect();
    at.into_iter().for_each(|at| bytes[at..at + new.len()].copy_from_slice(new));
}

/// Puts something where metadata stands: in the superblock or in the last blocks.
fn mutate(bytes: &mut [u8], random: &mut Random) {
    let length = bytes.len();
    mutate_from(length - 3 * BLOCK as usize, bytes, random);
}

/// The same wherever the inodes begin.
fn mutate_metadata(bytes: &mut [u8], random: &mut Random) {
    let at = SUPER_OFFSET as usize + 40;
    let meta_block = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    // A mutation before this one may have moved it.
    let from = (meta_block as usize * BLOCK as usize).min(bytes.len() - BLOCK as usize);
    mutate_from(from, bytes, random);
}

fn mutate_from(metadata: usize, bytes: &mut [u8], random: &mut Random) {
    let superblock = random.below(8) == 0;
    let (from, room) = match superblock {
        true => (SUPER_OFFSET as usize, 128),
        false => (metadata, bytes.len() - metadata),
    };
    let at = from + random.below(room);
    let value = match random.below(4) {
        0 => u64::MAX,
        1 => 1 << random.below(64),
        2 => random.below(5000) as u64,
        _ => random.next(),
    };
    let length = [1, 2, 4, 8][random.below(4)].min(bytes.len() - at);
    bytes[at..at + length].copy_from_slice(&value.to_le_bytes()[..length]);
}
