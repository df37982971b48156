//! Connections that are cut and workers that are killed: another attempt goes on where that one was.

use pintle_verify::verity::BLOCK;

use crate::network;
use crate::passage::{Gate, Passage};
use crate::published::{Published, with_delta};
use crate::support::{Machine, Random, block, image, release};

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

    fn machine(&self) -> Machine {
        self.published.machine(&self.old)
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
