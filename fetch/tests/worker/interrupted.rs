//! Connections that are cut and workers that are killed: another attempt goes on where that one was.

use std::fs::File;

use pintle_transfer::delta::{Side, make};
use pintle_transfer::document::DeltaLayer;
use pintle_verify::verity::BLOCK;

use crate::network;
use crate::passage::{Gate, Passage};
use crate::published::Published;
use crate::support::{Machine, Random, Release, blob_of, block, file_of, image, release, tree_of};

/// What a cut or a kill may cost at most, headers and all.
const REFETCH: u64 = 256 << 10;

/// So many, of each way that bytes come.
const INTERRUPTIONS: u64 = 50;

/// A release, and what the machine has before.
struct Story {
    published: Published,
    old: Vec<u8>,
    /// What the worker says that it did.
    way: &'static str,
}

#[test]
fn a_fetch_of_everything_goes_on_after_cuts_and_kills() {
    network::enter();
    let published = Published::new(release(new_image()));
    Story { published, old: vec![], way: "in full: " }.is_told();
}

#[test]
fn a_fetch_of_blocks_goes_on_after_cuts_and_kills() {
    network::enter();
    let published = Published::new(release(new_image()));
    Story { published, old: old_image(), way: "by blocks: " }.is_told();
}

#[test]
fn a_fetch_of_a_delta_goes_on_after_cuts_and_kills() {
    network::enter();
    let published = Published::new(with_delta(release(new_image()), &old_image()));
    Story { published, old: old_image(), way: "by delta: " }.is_told();
}

impl Story {
    fn is_told(&self) {
        let whole = self.undisturbed();
        let mut random = Random(0x5eed);
        let mut worst = [0, 0];
        for _ in 0..INTERRUPTIONS {
            let [cut, kill] = [(); 2].map(|()| 1 + random.below(whole - 1));
            let again = [self.cut(cut), self.killed(kill)].map(|got| got.saturating_sub(whole));
            worst = [worst[0].max(again[0]), worst[1].max(again[1])];
            assert!(again[0] <= REFETCH, "cut at {cut} of {whole}: {} bytes again", again[0]);
            assert!(again[1] <= REFETCH, "killed at {kill} of {whole}: {} bytes again", again[1]);
        }
        println!(
            "{}{whole} bytes; at most {} again after a cut, {} after a kill",
            self.way, worst[0], worst[1]
        );
    }

    /// It has taken the space, as machines do.
    fn machine(&self) -> Machine {
        let old = [self.old.as_slice()];
        let machine = Machine::with(if self.old.is_empty() { &[] } else { &old });
        let Release { image, tree, .. } = &self.published.release;
        machine.target.image.set_len(image.len() as u64).unwrap();
        machine.target.tree.set_len(tree.len() as u64).unwrap();
        machine
    }

    /// The bytes that it takes.
    fn undisturbed(&self) -> u64 {
        let (machine, passage) = (self.machine(), Passage::to(self.published.host(), Gate::Open));
        let heard = self.published.fetch(&machine, &passage.host()).hear();
        self.published.is_fetched(&machine, &heard);
        let said = format!("{heard:?}");
        assert!(said.contains(self.way), "{said}");
        passage.passed()
    }

    /// The bytes that it takes when a connection is cut after so many.
    fn cut(&self, at: u64) -> u64 {
        let machine = self.machine();
        let passage = Passage::to(self.published.host(), Gate::CutsAt(at));
        let heard = self.published.fetch(&machine, &passage.host()).hear();
        self.published.is_fetched(&machine, &heard);
        passage.passed()
    }

    /// The bytes that two workers take, the first of which is killed after so many.
    fn killed(&self, at: u64) -> u64 {
        let machine = self.machine();
        let passage = Passage::to(self.published.host(), Gate::HoldsAt(at));
        let worker = self.published.fetch(&machine, &passage.host());
        passage.wait_at_the_gate();
        worker.kill();
        machine.has_nothing_wrong(&self.published.release);
        let rest = Passage::to(self.published.host(), Gate::Open);
        let heard = self.published.fetch(&machine, &rest.host()).hear();
        self.published.is_fetched(&machine, &heard);
        at + rest.passed()
    }
}

/// Blocks that zstd halves, blocks that it cannot make smaller, repeated ones, and zeros.
fn new_image() -> Vec<u8> {
    let block = |number: u64| match number {
        500..550 => [0; BLOCK],
        550..560 => block(number - 300),
        1000..1500 => noise(number),
        number => block(number + 1),
    };
    (0..2000).map(block).collect::<Vec<_>>().into_flattened()
}

/// A third of the first half is other blocks, and the noise is not here.
fn old_image() -> Vec<u8> {
    image((0..1000).map(|number| if number % 300 < 100 { number + 100_000 } else { number + 1 }))
}

fn noise(seed: u64) -> [u8; BLOCK] {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut block = [0; BLOCK];
    block.iter_mut().for_each(|byte| *byte = (random.next() >> 32) as u8);
    block
}

/// The release with a delta from `old`, which is the best way by far.
fn with_delta(mut release: Release, old: &[u8]) -> Release {
    let folder = tempfile::tempdir().unwrap();
    let side = |name, image: &[u8]| -> (File, Vec<_>) {
        (file_of(&folder.path().join(name), image), tree_of(image).leaves().to_vec())
    };
    let (from, to) = (side("old", old), side("new", &release.image));
    let [from, to] = [&from, &to].map(|(image, leaves)| Side { image, leaves, files: &[] });
    let mut delta = Vec::new();
    make(&from, &to, &mut delta, &|_| {}).unwrap();
    let blob = blob_of(&delta);
    let from = tree_of(old).root();
    release.manifest.deltas = vec![DeltaLayer { blob, from, instead_of: Some(u64::MAX) }];
    release.blobs.insert(blob.digest, delta);
    release
}
