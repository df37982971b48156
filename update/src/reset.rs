//! Factory reset: one rename of `data/`, into `trash/`, or, where something is kept, in exchange for what is.
//!
//! The wish is a file in `data/` itself, and so goes with what it wants gone: there is no moment at
//! which the reset is done and still wished for, or the other way round. Its lines are the paths to
//! keep.

use rustix::fd::BorrowedFd;
use rustix::fs::OFlags;

use crate::files::read_at;
use crate::hands::{Hands, failed};
use crate::trash::{self, Emptied};
use crate::{Error, KeptPath, Place, Step, listing};

/// Bytes of the wish for a reset: more paths than this are no exception any more.
const MAX_WISH: usize = 64 << 10;

/// What stage 1 found to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FactoryReset {
    /// Nothing; `data/` is there, and stays.
    NotWanted,
    /// `data/` is fresh: it was reset, or there was none.
    Done,
}

/// Wishes for a factory reset at the next boot, which keeps what is at `kept`. `root` is the file
/// system that has `data/`.
pub fn request(root: BorrowedFd<'_>, kept: &[KeptPath]) -> Result<(), Error> {
    let hands = Hands::open(root)?;
    let lines: String = kept.iter().map(|path| format!("{}\n", path.stored())).collect();
    if lines.len() > MAX_WISH {
        return Err(failed("remember", &wish(), rustix::io::Errno::FBIG));
    }
    if data_names(&hands)?.iter().any(|name| name == DRAFT) {
        hands.carry_out(&[Step::Unlink(draft())])?;
    }
    let file = hands.create(&draft())?;
    crate::installer::write_at(&file, lines.as_bytes(), 0, &draft())?;
    hands.sync_data(&draft(), &file)?;
    hands.carry_out(&request_steps())
}

/// Takes the wish back.
pub fn cancel(root: BorrowedFd<'_>) -> Result<(), Error> {
    let hands = Hands::open(root)?;
    if !is_wanted(&hands)? {
        return Ok(());
    }
    hands.carry_out(&[Step::Unlink(wish()), Step::SyncDir(Place::data())])
}

/// Does the reset that is wished for; to be called before anything uses `data/`.
pub fn carry_out_pending(root: BorrowedFd<'_>) -> Result<FactoryReset, Error> {
    let hands = Hands::open(root)?;
    match attempt(&hands) {
        Err(error) if error.is_full() => {
            while trash::empty(&hands, TRASH_AT_A_TIME)? == Emptied::InPart {}
            attempt(&hands)
        }
        result => result,
    }
}

/// Looks anew each time: an attempt that failed may have done a part.
fn attempt(hands: &Hands) -> Result<FactoryReset, Error> {
    let (root, data) = (names(hands, &Place::root())?, data_names(hands)?);
    let wanted = data.iter().any(|name| name == WISH);
    let kept = if wanted { read_wish(hands)? } else { Vec::new() };
    let steps = pending_steps(&root, &data, &kept);
    hands.carry_out(&steps)?;
    let done = wanted || !root.iter().any(|name| name == Place::data().leaf());
    Ok(if done { FactoryReset::Done } else { FactoryReset::NotWanted })
}

/// The steps that wish for a reset, once the draft of the wish is durable.
pub fn request_steps() -> Vec<Step> {
    vec![Step::Replace { from: draft(), to: wish() }, Step::SyncDir(Place::data())]
}

/// The steps that remain to be done, by the names in the root, those in `data/`, and what is to be
/// kept.
pub fn pending_steps(root: &[String], data: &[String], kept: &[KeptPath]) -> Vec<Step> {
    let has = |place: &Place| root.iter().any(|name| name == place.leaf());
    let wanted = data.iter().any(|name| name == WISH);
    let mut steps = Vec::new();
    if has(&Place::reset()) {
        // Of a reset that was cut: either not whole yet, or what it has taken the place of.
        steps.extend([Step::MakeDir(Place::trash()), Step::Discard(Place::reset())]);
    }
    match (has(&Place::data()), wanted, kept) {
        (true, false, _) => {}
        (true, true, []) => steps.extend([
            Step::MakeDir(Place::trash()),
            Step::Discard(Place::data()),
            Step::MakeDir(Place::data()),
        ]),
        (true, true, kept) => steps.extend(exchange_steps(kept)),
        (false, _, _) => steps.push(Step::MakeDir(Place::data())),
    }
    if !steps.is_empty() {
        steps.push(Step::SyncDir(Place::root()));
    }
    steps
}

/// What is kept is gathered beside `data/` and made durable before the two change places.
fn exchange_steps(kept: &[KeptPath]) -> Vec<Step> {
    let mut steps = vec![Step::MakeDir(Place::reset())];
    steps.extend(kept.iter().cloned().map(Step::Keep));
    steps.extend([
        Step::SyncAll,
        Step::Exchange(Place::reset(), Place::data()),
        Step::MakeDir(Place::trash()),
        Step::Discard(Place::reset()),
    ]);
    steps
}

/// A line that is no path was not written by a pintle; what it would keep, nobody knows.
fn read_wish(hands: &Hands) -> Result<Vec<KeptPath>, Error> {
    let file = hands.open_at(&wish(), OFlags::RDONLY)?;
    let mut bytes = vec![0; MAX_WISH];
    let read = read_at(&file, &mut bytes, 0).map_err(|cause| failed("read", &wish(), cause))?;
    let text = String::from_utf8_lossy(read);
    Ok(text.lines().filter_map(KeptPath::from_stored).collect())
}

const WISH: &str = "factory-reset";

const DRAFT: &str = "factory-reset~";

/// Names that are removed before the trash is looked at anew.
const TRASH_AT_A_TIME: usize = 10_000;

fn wish() -> Place {
    Place::data().child(WISH)
}

fn draft() -> Place {
    Place::data().child(DRAFT)
}

fn is_wanted(hands: &Hands) -> Result<bool, Error> {
    Ok(data_names(hands)?.iter().any(|name| name == WISH))
}

fn data_names(hands: &Hands) -> Result<Vec<String>, Error> {
    match names(hands, &Place::data()) {
        Err(error) if error.is_missing() => Ok(Vec::new()),
        result => result,
    }
}

fn names(hands: &Hands, place: &Place) -> Result<Vec<String>, Error> {
    Ok(listing::names(hands, place)?.into_iter().map(|(name, _)| name).collect())
}
