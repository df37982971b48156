//! Images that are laid out after older ones.

use crate::facts;
use crate::written::{Written, image_bytes};
use crate::zoo::{Random, Zoo, noise};
use pintle_image::erofs::format::BLOCK;
use pintle_image::erofs::read::Image;
use pintle_image::erofs::write::{Continuity, Layout};
use pintle_image::tree::{Body, Inode};

/// Blocks whose hashes share a block of the hash tree.
const GROUP: usize = 128;
const UUID: [u8; 16] = [7; 16];

#[test]
fn the_same_tree_gives_the_same_image() {
    for zoo in [Zoo::full(), forest(&[]), Zoo::empty()] {
        let old = canonical(&zoo);
        assert!(continued(&zoo, &old) == old);
    }
}

#[test]
fn a_changed_file_changes_what_it_must() {
    let changed = Update::of(&["usr/share/3/1003"]);
    // Of the superblock, the inode, the old place and the new one.
    assert!(changed.groups() <= 4, "{changed:?}");
    assert_eq!(changed.new_blocks(), 3 + 1 + 1, "{changed:?}");
    assert_eq!(changed.runs(), 3, "{changed:?}");
}

#[test]
fn many_changed_files_are_gathered() {
    let paths: Vec<_> = (0..3000).step_by(7).map(|i| format!("usr/share/{}/{i}", i % 40)).collect();
    let changed = Update::of(&paths.iter().map(String::as_str).collect::<Vec<_>>());
    // In the canonical order they are where they were, each on its own.
    let apart = Difference::between(&canonical(&forest(&[])), &canonical(&changed.zoo));
    assert!(changed.runs() * 4 < apart.runs(), "{changed:?}, canonical {apart:?}");
}

#[test]
fn a_file_that_changes_little_stays() {
    let (old, mut zoo) = (canonical(&forest(&[])), forest(&[]));
    let mut bytes = noise("usr/lib/large", LARGE);
    bytes[500_000] ^= 1;
    zoo.tree.write_file("usr/lib/large", 0o644, &bytes, &zoo.spool).unwrap();
    let changed = Update::to(zoo, &old);
    assert_eq!((changed.new_blocks(), changed.groups()), (1, 1), "{changed:?}");
}

#[test]
fn a_file_that_grows_moves_nothing_else() {
    let (old, mut zoo) = (canonical(&forest(&[])), forest(&[]));
    zoo.put("usr/share/3/1003", 3 * 4096 + 1);
    let grown = Update::to(zoo, &old);
    assert!(grown.groups() <= 4 && grown.new_blocks() <= 4 + 2, "{grown:?}");
}

#[test]
fn an_added_file_moves_nothing() {
    let (old, mut zoo) = (canonical(&forest(&[])), forest(&[]));
    zoo.put("usr/share/3/new", 10_000);
    let added = Update::to(zoo, &old);
    // Its data and inode, the directory it is in with the inode of that, and the superblock.
    assert!(added.groups() <= 5 && added.new_blocks() <= 3 + 1 + 2 + 1, "{added:?}");
    // In the canonical order the inodes behind it move, and so do longer files.
    let moved = Difference::between(&old, &canonical(&added.zoo));
    assert!(added.groups() * 4 < moved.groups(), "{added:?}, canonical {moved:?}");
}

#[test]
fn a_removed_file_leaves_a_hole_of_zeros() {
    let (old, mut zoo) = (canonical(&forest(&[])), forest(&[]));
    remove(&mut zoo, "usr/share", "3");
    let removed = Update::to(zoo, &old);
    let moved = Difference::between(&old, &canonical(&removed.zoo));
    assert!(removed.groups() < moved.groups(), "{removed:?}, canonical {moved:?}");
    let gone = noise("usr/share/3/1003", 10_030);
    let holds = |image: &[u8]| image.windows(64).any(|window| window == &gone[..64]);
    assert!(holds(&old) && !holds(&removed.image), "what was removed is in the image no more");
}

#[test]
fn a_renamed_file_keeps_its_blocks_and_its_inode() {
    let (old, mut zoo) = (canonical(&forest(&[])), forest(&[]));
    let file = zoo.tree.lookup("usr/share/3/1003").unwrap();
    // As long as its old name, so that no directory grows.
    let parent = zoo.tree.lookup("usr/share/4").unwrap();
    zoo.tree.link(parent, b"renamed", file).unwrap();
    remove(&mut zoo, "usr/share/3", "1003");
    let renamed = Update::to(zoo, &old);
    // The two directories, one of which may have to grow.
    assert!(renamed.new_blocks() <= 4, "{renamed:?}");
}

#[test]
fn files_that_change_places_keep_their_blocks() {
    let (old, mut zoo) = (canonical(&forest(&[])), forest(&[]));
    for (path, content) in
        [("usr/share/3/1003", "usr/share/4/1004"), ("usr/share/4/1004", "usr/share/3/1003")]
    {
        let length = content.rsplit('/').next().unwrap().parse::<usize>().unwrap() * 10;
        zoo.tree.write_file(path, 0o644, &noise(content, length), &zoo.spool).unwrap();
    }
    let changed = Update::to(zoo, &old);
    assert!(changed.new_blocks() <= 2, "only inodes: {changed:?}");
}

#[test]
fn everything_is_read_back_after_every_kind_of_change() {
    let (old, mut zoo) = (canonical(&Zoo::full()), Zoo::full());
    remove(&mut zoo, "", "sizes");
    remove(&mut zoo, "directories", "200");
    (0..50).for_each(|i| zoo.put(&format!("directories/63/another-{i}"), i * 100));
    (0..50).for_each(|i| zoo.put(&format!("in-the-root-{i}"), i * 300));
    zoo.sparse("late", 1 << 30, &[(5000, 10), (1 << 29, 100_000)]);
    zoo.xattr_file("late-xattr", &[("user.shared", 10), ("user.late", 300)]);
    let target = vec![b'x'; 4000].into();
    zoo.add("late-link", Inode::new(0o777, Body::Symlink(target)));
    let written = Written::of(&continued(&zoo, &old));
    written.fsck();
    let mounted = written.mount();
    let expected = facts::of_tree(&zoo.tree, &zoo.spool);
    assert!(facts::of_image(&Image::open(written.open()).unwrap()) == expected);
    assert!(facts::of_directory(mounted.path()) == expected);
}

#[test]
fn twenty_updates_in_a_row_waste_no_more_than_a_tenth() {
    let mut random = Random::new("chain");
    let mut zoo = forest(&[]);
    let mut image = canonical(&zoo);
    let mut kept = 0;
    for step in 0..20 {
        (0..60).for_each(|_| change(&mut zoo, &mut random, step));
        let old = Image::open(&*image).unwrap();
        let (layout, continuity) = Layout::after((&zoo.tree, &zoo.spool), UUID, &old).unwrap();
        kept += usize::from(continuity == Continuity::Kept);
        let fewest = Layout::of(&zoo.tree, UUID).unwrap().blocks();
        let wasted = layout.blocks().saturating_sub(fewest);
        assert!(wasted * 10 <= layout.blocks(), "step {step}: {wasted} of {}", layout.blocks());
        image = image_bytes(&layout, &zoo.spool, 64);
        assert!(continued(&zoo, &image) == image, "step {step} again");
    }
    // The tree shrinks by a tenth on the way, and then the image must too.
    assert!(kept >= 17, "{kept} were kept");
    let written = Written::of(&image);
    written.fsck();
    assert!(
        facts::of_image(&Image::open(&*image).unwrap()) == facts::of_tree(&zoo.tree, &zoo.spool)
    );
}

#[test]
fn where_little_is_left_the_image_is_laid_out_anew() {
    let (old, mut zoo) = (canonical(&forest(&[])), forest(&[]));
    remove(&mut zoo, "usr", "share");
    zoo.put("small", 1000);
    // The inodes stand behind a long hole, but for which the image is one file.
    let image = Image::open(&*old).unwrap();
    let (layout, continuity) = Layout::after((&zoo.tree, &zoo.spool), UUID, &image).unwrap();
    assert_eq!(continuity, Continuity::Anew);
    assert!(image_bytes(&layout, &zoo.spool, 64) == canonical(&zoo));
}

#[test]
fn the_pieces_in_which_an_image_is_made_do_not_show() {
    let mut zoo = Zoo::full();
    let old = canonical(&zoo);
    (0..50).for_each(|i| zoo.put(&format!("in-the-root-{i}"), i * 300));
    let image = Image::open(&*old).unwrap();
    let (layout, _) = Layout::after((&zoo.tree, &zoo.spool), UUID, &image).unwrap();
    let whole = image_bytes(&layout, &zoo.spool, layout.blocks());
    for step in [1, 3, 64] {
        assert!(image_bytes(&layout, &zoo.spool, step) == whole, "in steps of {step} blocks");
    }
}

const LARGE: usize = 3_000_000;

/// 3000 files, half of them of a few blocks, a large one, and all `changed` ones another.
fn forest(changed: &[&str]) -> Zoo {
    let mut zoo = Zoo::empty();
    (0..3000).for_each(|i| zoo.put(&format!("usr/share/{}/{i}", i % 40), i * 10));
    zoo.put("usr/lib/large", LARGE);
    for path in changed {
        let id = zoo.tree.lookup(path).unwrap();
        let Body::File(content) = &zoo.tree.inode(id).body else { panic!("{path}") };
        let bytes = noise(&format!("{path} changed"), content.size as usize);
        zoo.tree.write_file(path, 0o644, &bytes, &zoo.spool).unwrap();
    }
    zoo
}

/// Adds, removes or changes a file.
fn change(zoo: &mut Zoo, random: &mut Random, step: usize) {
    let directory = format!("usr/share/{}", random.below(40));
    let id = zoo.tree.lookup(&directory).unwrap();
    let names: Vec<_> = zoo.tree.children(id).map(|(name, _)| name.to_vec()).collect();
    let length = random.below(5) * random.below(8000);
    match random.below(3) {
        0 => zoo.put(&format!("{directory}/added-{step}-{length}"), length),
        _ if names.is_empty() => {}
        1 => drop(zoo.tree.remove(id, &names[random.below(names.len())])),
        _ => {
            let name = String::from_utf8(names[random.below(names.len())].clone()).unwrap();
            let bytes = noise(&format!("{name} {step}"), length);
            let path = format!("{directory}/{name}");
            zoo.tree.write_file(&path, 0o644, &bytes, &zoo.spool).unwrap();
        }
    }
}

fn remove(zoo: &mut Zoo, parent: &str, name: &str) {
    let parent = zoo.tree.lookup(parent).unwrap();
    zoo.tree.remove(parent, name.as_bytes()).unwrap();
}

fn canonical(zoo: &Zoo) -> Vec<u8> {
    image_bytes(&Layout::of(&zoo.tree, UUID).unwrap(), &zoo.spool, 64)
}

fn continued(zoo: &Zoo, old: &[u8]) -> Vec<u8> {
    let image = Image::open(old).unwrap();
    let (layout, continuity) = Layout::after((&zoo.tree, &zoo.spool), UUID, &image).unwrap();
    assert_eq!(continuity, Continuity::Kept);
    image_bytes(&layout, &zoo.spool, 64)
}

/// An image that was laid out after the forest's.
struct Update {
    zoo: Zoo,
    image: Vec<u8>,
    difference: Difference,
}

impl Update {
    fn of(changed: &[&str]) -> Self {
        Self::to(forest(changed), &canonical(&forest(&[])))
    }

    fn to(zoo: Zoo, old: &[u8]) -> Self {
        let image = continued(&zoo, old);
        let difference = Difference::between(old, &image);
        Self { zoo, image, difference }
    }
}

impl std::ops::Deref for Update {
    type Target = Difference;

    fn deref(&self) -> &Difference {
        &self.difference
    }
}

impl std::fmt::Debug for Update {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.difference.fmt(f)
    }
}

/// What a machine with one image lacks of another.
struct Difference {
    /// Blocks, of those that are not like the old one at the same place.
    moved: Vec<usize>,
    /// Those that are not in the old image at all.
    new: Vec<usize>,
}

impl Difference {
    fn between(old: &[u8], new: &[u8]) -> Self {
        let old: Vec<&[u8]> = old.chunks(BLOCK as usize).collect();
        let known: std::collections::HashSet<_> = old.iter().copied().collect();
        let blocks = || new.chunks(BLOCK as usize).enumerate();
        let is_zeros = |block: &[u8]| block.iter().all(|byte| *byte == 0);
        let moved = blocks().filter(|(at, block)| old.get(*at) != Some(block));
        let new = blocks().filter(|(_, block)| !known.contains(block) && !is_zeros(block));
        Self { moved: moved.map(|(at, _)| at).collect(), new: new.map(|(at, _)| at).collect() }
    }

    /// Blocks of the hash tree that differ.
    fn groups(&self) -> usize {
        let mut groups: Vec<_> = self.moved.iter().map(|at| at / GROUP).collect();
        groups.dedup();
        groups.len()
    }

    fn new_blocks(&self) -> usize {
        self.new.len()
    }

    /// Runs of new blocks.
    fn runs(&self) -> usize {
        self.new.chunk_by(|a, b| a + 1 == *b).count()
    }
}

impl std::fmt::Debug for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (blocks, groups, runs) = (self.new_blocks(), self.groups(), self.runs());
        write!(f, "{blocks} new blocks in {runs} runs, {groups} groups")
    }
}
