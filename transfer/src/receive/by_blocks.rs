use std::collections::VecDeque;
use std::fs::File;
use std::ops::Range;
use std::slice;

use super::by_delta::Outcome;
use super::image::Image;
use super::shifted::Trail;
use super::{Feed, Phase, Received, Receiver, received};
use crate::Error;
use crate::block_file::offset;
use crate::frames::{Decoder, Frame, SeekTable};
use crate::local::{Place, Seens, blocks_of};
use crate::plan::{self, Offer, Plan, cost_of, needed_frames, runs};
use crate::tree::{Leaves, MAX_CANDIDATES, TreeReceiver};

impl Receiver<'_> {
    /// Fetches the tree, and then what it shows to be missing; or a delta, if that turns out to be cheaper.
    pub(super) fn by_blocks(
        &self,
        delta_failed: Option<String>,
        feed: &mut Feed<'_>,
    ) -> Result<Received, Error> {
        let leaves = self.receive_tree(feed)?;
        let table = self.receive_table(feed)?;
        let mut job = Job::resume(self, &leaves, &table)?;
        let here = blocks_of(self.sources);
        let offer = if delta_failed.is_none() { self.offer()? } else { None };
        let plan = job.plan(&here, offer.as_ref());
        if plan.delta().is_none() {
            job.run(&here, feed)?;
            return Ok(received(plan, delta_failed, feed));
        }
        let Outcome::Failed(cause) = self.by_delta(&plan, feed)? else {
            return Ok(received(plan, None, feed));
        };
        let mut job = Job::resume(self, &leaves, &table)?;
        let plan = job.plan(&here, None);
        job.run(&here, feed)?;
        Ok(received(plan, Some(cause), feed))
    }

    fn receive_tree(&self, feed: &mut Feed<'_>) -> Result<Leaves, Error> {
        feed.report(Phase::Tree, 0);
        let blob = &self.manifest.tree;
        let (seal, sources) = (self.seal, self.sources);
        TreeReceiver { seal, blob, sources, file: &self.target.tree }.receive(feed)
    }

    fn receive_table(&self, feed: &mut Feed<'_>) -> Result<SeekTable, Error> {
        let image = self.manifest.image;
        let range = image.seek_table..image.blob.size;
        let mut bytes = vec![0; (range.end - range.start) as usize];
        feed.open("seek table", &image.blob, range)?.fill(&mut bytes)?;
        SeekTable::parse(&bytes, self.seal.image_size / offset(1), image.seek_table)
    }
}

/// Blocks behind the first frame of a run that are looked for before they are fetched.
const MIN_REST: u64 = 16;

/// An image that is being made out of blocks.
struct Job<'a> {
    receiver: &'a Receiver<'a>,
    leaves: &'a Leaves,
    table: &'a SeekTable,
    image: Image<'a>,
}

impl<'a> Job<'a> {
    fn resume(
        receiver: &'a Receiver<'a>,
        leaves: &'a Leaves,
        table: &'a SeekTable,
    ) -> Result<Self, Error> {
        let salt = &receiver.seal.salt;
        let mut image = Image::resume(&receiver.target.image, leaves, salt)?;
        image.copy_within()?;
        Ok(Self { receiver, leaves, table, image })
    }

    fn plan(&self, here: &Seens, offer: Option<&Offer>) -> Plan {
        let needed = self.needed(&self.image.missing_from(here));
        let blocks = cost_of(&runs(&needed, self.table), self.table);
        let full = cost_of(slice::from_ref(&(0..self.table.len())), self.table);
        plan::choose(blocks, full, offer)
    }

    fn needed(&self, missing: &[u64]) -> Vec<bool> {
        needed_frames(missing, self.leaves.as_slice(), self.table)
    }

    fn run(&mut self, here: &Seens, feed: &mut Feed<'_>) -> Result<(), Error> {
        feed.report(Phase::Local, self.image.done());
        let files: Vec<&File> = self.receiver.sources.iter().map(|source| &source.image).collect();
        self.image.copy(here, &files)?;
        self.fetch_missing(here, feed)?;
        self.image.copy_within()?;
        feed.report(Phase::Blocks, self.image.done());
        self.check_whole()
    }

    fn fetch_missing(&mut self, here: &Seens, feed: &mut Feed<'_>) -> Result<(), Error> {
        let mut needed = self.needed(&self.image.missing());
        let mut decoder = Decoder::new()?;
        let mut queue: VecDeque<_> = runs(&needed, self.table).into();
        while let Some(run) = queue.pop_front() {
            let trails = self.trails(&run, here);
            if trails.is_empty() {
                self.fetch_run(run, &needed, &mut decoder, feed)?;
                continue;
            }
            // What follows the first frame may be here, some bytes further on.
            let (head, rest) = (run.start..run.start + 1, run.start + 1..run.end);
            self.fetch_run(head.clone(), &needed, &mut decoder, feed)?;
            self.follow(&head, &trails)?;
            feed.report(Phase::Blocks, self.image.done());
            for number in rest.clone() {
                let is_missing = self.table.frame(number).is_some_and(|frame| self.lacks(&frame));
                needed.get_mut(number).into_iter().for_each(|needed| *needed &= is_missing);
            }
            let left = runs(&within(&needed, &rest), self.table);
            left.into_iter().rev().for_each(|run| queue.push_front(run));
        }
        Ok(())
    }

    /// Where older images go on behind the block before a run, if what follows its first frame is worth a request.
    fn trails(&self, run: &Range<usize>, here: &Seens) -> Vec<Trail<'a>> {
        let head = self.table.frame(run.start);
        let end = run.end.checked_sub(1).and_then(|last| self.table.frame(last));
        let (Some(head), Some(end)) = (head, end) else { return Vec::new() };
        let next = head.blocks.end;
        let is_changed =
            self.image.is_missing(next.saturating_sub(1)) && self.image.is_missing(next);
        if !is_changed || end.blocks.end - next < MIN_REST {
            return Vec::new();
        }
        let before = head.blocks.start.checked_sub(1);
        let leaf = before.and_then(|before| self.leaves.as_slice().get(before as usize));
        let places = leaf.into_iter().flat_map(|leaf| here.find(leaf)).take(MAX_CANDIDATES);
        let sources = self.receiver.sources;
        let trail = |place: Place| {
            let image = &sources.get(place.source)?.image;
            Some(Trail { image, block: place.block + 1 })
        };
        places.filter_map(trail).collect()
    }

    fn follow(&mut self, head: &Range<usize>, trails: &[Trail<'_>]) -> Result<(), Error> {
        let Some(Frame { blocks, .. }) = self.table.frame(head.start) else { return Ok(()) };
        for trail in trails {
            if self.image.follow(blocks.end, blocks.end - blocks.start, *trail)? > 0 {
                break;
            }
        }
        Ok(())
    }

    fn lacks(&self, frame: &Frame) -> bool {
        frame.blocks.clone().any(|block| self.image.is_missing(block))
    }

    fn fetch_run(
        &mut self,
        run: Range<usize>,
        needed: &[bool],
        decoder: &mut Decoder,
        feed: &mut Feed<'_>,
    ) -> Result<(), Error> {
        let frames =
            run.filter_map(|number| Some((self.table.frame(number)?, needed.get(number)?)));
        let frames: Vec<(Frame, &bool)> = frames.collect();
        let (Some((first, _)), Some((last, _))) = (frames.first(), frames.last()) else {
            return Ok(());
        };
        let blob = &self.receiver.manifest.image.blob;
        let mut stream = feed.open("image", blob, first.bytes.start..last.bytes.end)?;
        for (frame, is_needed) in &frames {
            stream.fill(decoder.frame_mut((frame.bytes.end - frame.bytes.start) as usize))?;
            if **is_needed {
                self.take(frame, decoder)?;
                stream.report(Phase::Blocks, self.image.done());
            }
        }
        Ok(())
    }

    fn take(&mut self, frame: &Frame, decoder: &mut Decoder) -> Result<(), Error> {
        let blocks = decoder.decode((frame.blocks.end - frame.blocks.start) as usize)?;
        self.image.take_frame(frame.blocks.start, blocks)
    }

    /// A block that was copied within the image may have changed since: then the disk lies.
    fn check_whole(&self) -> Result<(), Error> {
        match self.image.missing().first() {
            None => Ok(()),
            Some(block) => Err(Error::Damaged { object: "root.img", offset: offset(*block) }),
        }
    }
}

/// What is needed in a range, and nothing outside of it.
fn within(needed: &[bool], range: &Range<usize>) -> Vec<bool> {
    let in_range = |(number, needed): (usize, &bool)| *needed && range.contains(&number);
    needed.iter().enumerate().map(in_range).collect()
}
