//! Factory reset: one rename of `data/` into `trash/`.
//!
//! The wish is a file in `data/` itself, and so goes with what it wants gone: there is no moment at
//! which the reset is done and still wished for, or the other way round.

use rustix::fd::BorrowedFd;

use crate::hands::Hands;
use crate::trash::{self, Emptied};
use crate::{Error, Place, Step, listing};

/// What stage 1 found to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FactoryReset {
    /// Nothing; `data/` is there, and stays.
    NotWanted,
    /// `data/` is fresh: it was reset, or there was none.
    Done,
}

/// Wishes for a factory reset at the next boot. `root` is the file system that has `data/`.
pub fn request(root: BorrowedFd<'_>) -> Result<(), Error> {
    Hands::open(root)?.carry_out(&request_steps())
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
    let steps = pending_steps(&names(hands, &Place::root())?, &data_names(hands)?);
    hands.carry_out(&steps)?;
    Ok(if steps.is_empty() { FactoryReset::NotWanted } else { FactoryReset::Done })
}

/// The steps that wish for a reset.
pub fn request_steps() -> Vec<Step> {
    vec![Step::Touch(wish()), Step::SyncDir(Place::data())]
}

/// The steps that remain to be done, by the names in the root and those in `data/`.
pub fn pending_steps(root: &[String], data: &[String]) -> Vec<Step> {
    let has = |place: &Place| root.iter().any(|name| name == place.leaf());
    let wanted = data.iter().any(|name| name == WISH);
    match (has(&Place::data()), wanted) {
        (true, false) => Vec::new(),
        (true, true) => vec![
            Step::MakeDir(Place::trash()),
            Step::Discard(Place::data()),
            Step::MakeDir(Place::data()),
            Step::SyncDir(Place::root()),
        ],
        (false, _) => vec![Step::MakeDir(Place::data()), Step::SyncDir(Place::root())],
    }
}

const WISH: &str = "factory-reset";

/// Names that are removed before the trash is looked at anew.
const TRASH_AT_A_TIME: usize = 10_000;

fn wish() -> Place {
    Place::data().child(WISH)
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
