//! How releases come to a machine that has nothing, something, or what an attempt left.

mod support;

use std::fs;
use std::os::unix::fs::FileExt;
use std::sync::LazyLock;

use pintle_transfer::document::DeltaLayer;
use pintle_transfer::plan::Way;
use pintle_transfer::{Error, Source};
use pintle_verify::Digest;
use pintle_verify::verity::BLOCK;
use support::{Machine, Memory, Random, Release, blob_of, image, release, seal_of};

/// What a cut or a kill may cost at most.
const REFETCH: u64 = 256 << 10;

/// Cuts, at bytes that are the same in every run.
const CUTS: u64 = 50;

/// Two levels of hashes, frames of every size, repeated blocks and zeros.
fn new_image() -> Vec<u8> {
    let block = |number: u64| match number {
        300..400 => 0,
        700..720 => number - 600,
        number => number + 1,
    };
    image((0..1000).map(block))
}

static NEW: LazyLock<Release> = LazyLock::new(|| release(new_image()));

/// The same with a few blocks in other places, and others.
fn old_image() -> Vec<u8> {
    image((0..900).map(|number| match number {
        50..60 | 500..502 | 800 => number + 100_000,
        number => number + 7,
    }))
}

#[test]
fn where_nothing_is_here_all_of_it_comes_in_three_requests() {
    let release = NEW.clone();
    let machine = Machine::with(&[]);
    let mut blobs = Memory::of(&release.blobs);
    let received = machine.receive(&release, &mut blobs).unwrap();
    machine.has(&release);
    assert_eq!(received.plan.way, Way::Full);
    assert_eq!(received.fetched.requests, 3, "{:?}", blobs.requests);
    assert_eq!(received.fetched.bytes, blobs.read);
    let all = release.manifest.tree.size - BLOCK as u64 + release.manifest.image.blob.size;
    assert_eq!(received.fetched.bytes, all);
}

/// A machine takes the space before the first byte comes.
#[test]
fn files_that_have_their_length_are_not_yet_begun() {
    let release = NEW.clone();
    let machine = Machine::with(&[]);
    machine.target.image.set_len(release.image.len() as u64).unwrap();
    machine.target.tree.set_len(release.tree.len() as u64).unwrap();
    let received = machine.receive(&release, &mut Memory::of(&release.blobs)).unwrap();
    machine.has(&release);
    assert_eq!(received.fetched.requests, 3);
    // Blocks would cost more than this delta, says the builder, and nothing of them is here yet.
    let release = release_with_delta(100_000, Some(400_000));
    let machine = Machine::with(&[&old_image()]);
    machine.target.tree.set_len(release.tree.len() as u64).unwrap();
    let mut blobs = Memory::of(&release.blobs);
    machine.receive(&release, &mut blobs).unwrap();
    assert_eq!(blobs.requests[0].0, release.manifest.deltas[0].blob.digest);
}

#[test]
fn where_an_older_image_is_here_only_what_is_new_comes() {
    let release = NEW.clone();
    let machine = Machine::with(&[&old_image()]);
    let mut blobs = Memory::of(&release.blobs);
    let received = machine.receive(&release, &mut blobs).unwrap();
    machine.has(&release);
    assert_eq!(received.plan.way, Way::Blocks);
    assert_eq!(received.fetched.bytes, blobs.read);
    assert!(blobs.read < release.manifest.image.blob.size / 2, "{}", received.plan);
}

/// A file of an image: its blocks, the last one filled up with zeros.
fn padded(file: &[u8]) -> Vec<u8> {
    let mut blocks = file.to_vec();
    blocks.resize(file.len().next_multiple_of(BLOCK), 0);
    blocks
}

#[test]
fn what_follows_an_insertion_is_here_though_no_block_of_it_is() {
    let (before, file, behind) = (image(1..=256), image(1000..1400), image(2000..2100));
    let file = &file[..file.len() - 100];
    let old = [&*before, &padded(file), &behind].concat();
    let longer = [&image([9])[..1000], file].concat();
    let shorter = &file[1000..];
    for (changed, what) in [(&*longer, "inserted"), (shorter, "removed")] {
        let release = release([&*before, &padded(changed), &behind].concat());
        let machine = Machine::with(&[&old]);
        let mut blobs = Memory::of(&release.blobs);
        machine.receive(&release, &mut blobs).unwrap();
        machine.has(&release);
        // The first frame, of 64 blocks, and what leads to it; of the others there are six.
        assert!(blobs.read < 200_000, "{} bytes where some were {what}", blobs.read);
    }
}

/// Blocks that end alike.
fn alike(seeds: std::ops::Range<u64>, end: &[u8]) -> Vec<u8> {
    let mut blocks = image(seeds);
    blocks.chunks_mut(BLOCK).for_each(|block| block[BLOCK - end.len()..].copy_from_slice(end));
    blocks
}

#[test]
fn bytes_that_occur_everywhere_lead_nowhere() {
    let before = image(1..=256);
    for end in [*b"the same sixty-four bytes at the end of each and every block....", [7; 64]] {
        let release = release([&*before, &alike(5000..5256, &end)].concat());
        let machine = Machine::with(&[&[&*before, &alike(7000..7256, &end)].concat()]);
        let received = machine.receive(&release, &mut Memory::of(&release.blobs)).unwrap();
        machine.has(&release);
        // The tree, the seek table, the first frame, and the others at once.
        assert!(received.fetched.requests <= 6, "{:?}", received.fetched);
    }
}

#[test]
fn changes_here_and_there_are_fetched_in_one_request() {
    let changed = |number: u64| number > 256 && number % 10 == 5;
    let new = (1..=1280).map(|number| if changed(number) { number + 5000 } else { number });
    let (old, release) = (image(1..=1280), release(image(new)));
    let machine = Machine::with(&[&old]);
    let received = machine.receive(&release, &mut Memory::of(&release.blobs)).unwrap();
    machine.has(&release);
    assert!(received.fetched.requests <= 4, "{:?}", received.fetched);
}

#[test]
fn an_image_that_is_here_costs_the_seek_table_alone() {
    let release = NEW.clone();
    let machine = Machine::with(&[&new_image()]);
    let mut blobs = Memory::of(&release.blobs);
    let received = machine.receive(&release, &mut blobs).unwrap();
    machine.has(&release);
    let image = release.manifest.image;
    assert_eq!(received.fetched.bytes, image.blob.size - image.seek_table);
    assert_eq!(blobs.requests.len(), 1);
}

#[test]
fn a_second_attempt_after_the_last_byte_fetches_the_seek_table_alone() {
    let release = NEW.clone();
    let machine = Machine::with(&[]);
    machine.receive(&release, &mut Memory::of(&release.blobs)).unwrap();
    let mut blobs = Memory::of(&release.blobs);
    machine.receive(&release, &mut blobs).unwrap();
    machine.has(&release);
    assert_eq!(blobs.requests.len(), 1);
}

#[test]
fn blocks_of_several_images_are_used() {
    let release = release(image(1..=600));
    let images = [image((1..=200).rev()), image(201..=400), image(401..=600)];
    let machine = Machine::with(&images.each_ref().map(Vec::as_slice));
    let mut blobs = Memory::of(&release.blobs);
    machine.receive(&release, &mut blobs).unwrap();
    machine.has(&release);
    let image = release.manifest.image.blob.digest;
    assert_eq!(blobs.requests.iter().filter(|(digest, _)| *digest == image).count(), 1);
}

#[test]
fn a_block_that_occurs_twice_is_fetched_once() {
    let once = image((1..=256).chain(257..=512));
    let twice = image((1..=256).chain(1..=256));
    let fetched = |image: Vec<u8>| {
        let release = release(image);
        let machine = Machine::with(&[]);
        let mut blobs = Memory::of(&release.blobs);
        machine.receive(&release, &mut blobs).unwrap();
        machine.has(&release);
        blobs.read - release.manifest.tree.size
    };
    assert!(fetched(twice) < fetched(once) * 51 / 100);
}

#[test]
fn images_of_one_block_and_of_zeros_come_too() {
    for image in [image([1]), image([0]), image([0; 129]), image([1, 0]), image(vec![0; 16_385])] {
        let release = release(image);
        for images in [vec![], vec![release.image.as_slice()]] {
            let machine = Machine::with(&images);
            machine.receive(&release, &mut Memory::of(&release.blobs)).unwrap();
            machine.has(&release);
        }
    }
}

#[test]
fn of_a_tree_of_three_levels_only_the_changed_path_comes() {
    let numbers =
        |changed: u64| (0..20_000).map(move |n| if n == 9_000 { changed } else { n % 777 });
    let (old, new) = (image(numbers(70_000)), image(numbers(80_000)));
    let release = release(new);
    let machine = Machine::with(&[&old]);
    let mut blobs = Memory::of(&release.blobs);
    machine.receive(&release, &mut blobs).unwrap();
    machine.has(&release);
    let tree = release.manifest.tree.digest;
    let of_tree: Vec<_> = blobs.requests.iter().filter(|(digest, _)| *digest == tree).collect();
    assert_eq!(of_tree.len(), 3);
    assert!(of_tree.iter().all(|(_, range)| range.end - range.start == BLOCK as u64));
}

#[test]
fn what_an_attempt_left_is_used_and_garbage_is_replaced() {
    let release = NEW.clone();
    let machine = Machine::with(&[]);
    let half = release.image.len() / 2;
    machine.target.image.write_all_at(&release.image[..half], 0).unwrap();
    machine.target.image.write_all_at(&[0xaa; 3 * BLOCK], 320 * BLOCK as u64).unwrap();
    machine.target.image.set_len(2 * release.image.len() as u64).unwrap();
    machine.target.tree.write_all_at(&release.tree[..3 * BLOCK], 0).unwrap();
    machine.target.tree.write_all_at(&[0xbb; 9], 5 * BLOCK as u64).unwrap();
    let mut blobs = Memory::of(&release.blobs);
    let received = machine.receive(&release, &mut blobs).unwrap();
    machine.has(&release);
    assert!(blobs.read < release.manifest.image.blob.size * 7 / 10, "{}", received.plan);
}

#[test]
fn a_source_that_lies_costs_bytes_and_nothing_else() {
    let release = NEW.clone();
    let damage: [fn(&Source); 5] = [
        |source| source.image.write_all_at(&[1; 40 * BLOCK], 0).unwrap(),
        |source| source.tree.write_all_at(&[2; 99], 4096).unwrap(),
        |source| source.tree.set_len(4096).unwrap(),
        |source| source.image.set_len(100).unwrap(),
        |source| source.image.set_len(500 * BLOCK as u64).unwrap(),
    ];
    for damage in damage {
        let machine = Machine::with(&[&old_image()]);
        damage(&machine.sources[0]);
        machine.receive(&release, &mut Memory::of(&release.blobs)).unwrap();
        machine.has(&release);
    }
}

#[test]
fn a_cut_at_any_byte_costs_at_most_256_kib() {
    let release = NEW.clone();
    let whole = {
        let mut blobs = Memory::of(&release.blobs);
        Machine::with(&[]).receive(&release, &mut blobs).unwrap();
        blobs.read
    };
    let mut random = Random(0x5eed);
    for _ in 0..CUTS {
        let at = random.below(whole);
        let machine = Machine::with(&[]);
        let mut cut = Memory::cut(&release.blobs, at);
        let error = machine.receive(&release, &mut cut).unwrap_err();
        assert!(error.of_fetching().is_some(), "{error}");
        machine.has_nothing_wrong(&release);
        let mut rest = Memory::of(&release.blobs);
        machine.receive(&release, &mut rest).unwrap();
        machine.has(&release);
        assert!(cut.read + rest.read <= whole + REFETCH, "cut at {at} of {whole}: {}", rest.read);
    }
}

#[test]
fn many_cuts_in_a_row_end_all_the_same() {
    let release = NEW.clone();
    let machine = Machine::with(&[&old_image()]);
    let mut cuts = 0;
    while machine.receive(&release, &mut Memory::cut(&release.blobs, 210 << 10)).is_err() {
        cuts += 1;
        assert!(cuts < 100);
    }
    machine.has(&release);
    assert!(cuts > 1);
}

/// A release with a delta from the old image. What it holds is no delta.
fn release_with_delta(size: usize, instead_of: Option<u64>) -> Release {
    let mut release = NEW.clone();
    let bytes: Vec<u8> = (0..size).map(|number| number as u8).collect();
    let from = support::tree_of(&old_image()).root();
    release.manifest.deltas.push(DeltaLayer { blob: blob_of(&bytes), from, instead_of });
    release.blobs.insert(Digest::of(&bytes), bytes);
    release
}

#[test]
fn a_delta_that_makes_no_image_is_given_up_for_blocks() {
    // Chosen at the outset, chosen when the tree is here, and too dear.
    for (size, instead_of, is_tried) in [
        (5000, None, true),
        (100_000, Some(400_000), true),
        (100_000, None, true),
        (9_000_000, None, false),
    ] {
        let mut release = release_with_delta(size, instead_of);
        if size > 1 << 20 {
            release.manifest.deltas[0].blob.size = 4_000_000;
        }
        let machine = Machine::with(&[&old_image()]);
        let received = machine.receive(&release, &mut Memory::of(&release.blobs)).unwrap();
        machine.has(&release);
        assert_eq!(received.delta_failed.is_some(), is_tried, "{size} {:?}", received.plan);
    }
}

#[test]
fn a_delta_that_is_cut_goes_on_where_it_was() {
    let release = release_with_delta(100_000, Some(400_000));
    let machine = Machine::with(&[&old_image()]);
    machine.receive(&release, &mut Memory::cut(&release.blobs, 70_000)).unwrap_err();
    let mut rest = Memory::of(&release.blobs);
    machine.receive(&release, &mut rest).unwrap();
    let delta = release.manifest.deltas[0].blob.digest;
    assert_eq!(rest.requests[0], (delta, 70_000..100_000));
}

#[test]
fn what_is_left_of_another_delta_is_thrown_away() {
    let release = release_with_delta(100_000, Some(400_000));
    for (left, ranges) in [(60_000, 2), (100_000, 1), (200_000, 1)] {
        let machine = Machine::with(&[&old_image()]);
        machine.target.delta.write_all_at(&vec![7; left], 0).unwrap();
        let mut blobs = Memory::of(&release.blobs);
        let received = machine.receive(&release, &mut blobs).unwrap();
        let delta = release.manifest.deltas[0].blob.digest;
        assert_eq!(blobs.requests.iter().filter(|(digest, _)| *digest == delta).count(), ranges);
        // It was the right one, came to be applied, and is not to be the next attempt's choice.
        assert!(received.delta_failed.unwrap().contains("cannot apply delta"));
        assert_eq!(machine.target.delta.metadata().unwrap().len(), 0);
    }
}

#[test]
fn blobs_that_are_damaged_anywhere_harm_nothing() {
    let release = NEW.clone();
    let image = release.manifest.image;
    let mut random = Random(0xbad);
    let mut refused = 0;
    for round in 0..60 {
        let (digest, range) = match round % 3 {
            0 => (release.manifest.tree.digest, 0..release.manifest.tree.size),
            1 => (image.blob.digest, 0..image.seek_table),
            _ => (image.blob.digest, image.seek_table..image.blob.size),
        };
        let mut blobs = release.blobs.clone();
        let at = range.start + random.below(range.end - range.start);
        blobs.get_mut(&digest).unwrap()[at as usize] ^= 1 << random.below(8);
        let machine = Machine::with(&[]);
        match machine.receive(&release, &mut Memory::of(&blobs)) {
            // The superblock is not fetched, and zstd ignores some bits.
            Ok(_) => machine.has(&release),
            Err(Error::Damaged { .. } | Error::Frames(_)) => refused += 1,
            Err(other) => panic!("{other}"),
        }
        machine.has_nothing_wrong(&release);
        machine.receive(&release, &mut Memory::of(&release.blobs)).unwrap();
        machine.has(&release);
    }
    assert!(refused > 50, "{refused}");
}

#[test]
fn blobs_that_are_short_missing_or_swapped_harm_nothing() {
    let release = NEW.clone();
    let other = support::release(image(5000..6000));
    let tree = release.manifest.tree.digest;
    let frames = release.manifest.image.blob.digest;
    for digest in [tree, frames] {
        let bytes = &release.blobs[&digest];
        let swapped = if digest == tree {
            &other.tree
        } else {
            &other.blobs[&other.manifest.image.blob.digest]
        };
        for replacement in
            [None, Some(&bytes[..bytes.len() / 2]), Some(&[]), Some(swapped.as_slice())]
        {
            let mut blobs = release.blobs.clone();
            blobs.remove(&digest);
            blobs.extend(replacement.map(|bytes| (digest, bytes.to_vec())));
            let machine = Machine::with(&[]);
            machine.receive(&release, &mut Memory::of(&blobs)).unwrap_err();
            machine.has_nothing_wrong(&release);
        }
    }
}

#[test]
fn a_damaged_delta_is_given_up_for_blocks() {
    let release = release_with_delta(100_000, Some(400_000));
    let delta = release.manifest.deltas[0].blob.digest;
    let mut blobs = release.blobs.clone();
    blobs.get_mut(&delta).unwrap()[77] ^= 1;
    let machine = Machine::with(&[&old_image()]);
    let mut memory = Memory::of(&blobs);
    let received = machine.receive(&release, &mut memory).unwrap();
    machine.has(&release);
    assert_eq!(received.plan.way, Way::Blocks);
    assert!(received.delta_failed.unwrap().contains("cannot trust delta"));
    assert_eq!(memory.requests.iter().filter(|(digest, _)| *digest == delta).count(), 1);
    assert_eq!(machine.target.delta.metadata().unwrap().len(), 0);
}

#[test]
fn a_delta_that_is_not_there_is_given_up_for_blocks() {
    let mut release = release_with_delta(100_000, Some(400_000));
    let delta = release.manifest.deltas[0].blob.digest;
    release.blobs.remove(&delta);
    let machine = Machine::with(&[&old_image()]);
    let received = machine.receive(&release, &mut Memory::of(&release.blobs)).unwrap();
    machine.has(&release);
    assert_eq!(received.plan.way, Way::Blocks);
    assert!(received.delta_failed.unwrap().contains("cannot fetch delta"));
}

/// As where the disk under an entry fails: reading it is an error, and no reason to stop.
#[test]
fn a_source_that_cannot_be_read_is_as_good_as_none() {
    let release = release_with_delta(100_000, Some(400_000));
    for file in ["root.img", "root.tree"] {
        let mut machine = Machine::with(&[&old_image()]);
        let path = machine.folder.path().join("failing");
        let unreadable = fs::File::options().write(true).create_new(true).open(path).unwrap();
        let source = &mut machine.sources[0];
        let place = if file == "root.img" { &mut source.image } else { &mut source.tree };
        unreadable.set_len(place.metadata().unwrap().len()).unwrap();
        *place = unreadable;
        machine.receive(&release, &mut Memory::of(&release.blobs)).unwrap();
        machine.has(&release);
    }
}

#[test]
fn a_manifest_that_contradicts_the_seal_is_refused() {
    let good = NEW.clone();
    let changes: [fn(&mut Release); 5] = [
        |release| release.manifest.tree.size += BLOCK as u64,
        |release| release.manifest.image.seek_table = 1 << 40,
        |release| release.manifest.image.blob.size += 1 << 20,
        |release| release.manifest.image.blob.size = release.manifest.image.seek_table + 16,
        |release| release.seal = seal_of(4096, Digest::of(b"other")).1,
    ];
    for change in changes {
        let mut bad = NEW.clone();
        change(&mut bad);
        let machine = Machine::with(&[]);
        let error = machine.receive(&bad, &mut Memory::of(&good.blobs)).unwrap_err();
        assert!(matches!(error, Error::Document { .. }), "{error}");
        assert_eq!(machine.target.image.metadata().unwrap().len(), 0);
    }
}
