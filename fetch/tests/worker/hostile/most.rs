//! What a registry may cost the worker.

use super::Step::{self, Delta, Frames, Index, Manifest, Seal, Tree};
use super::Wanted::{self, Check, CheckThenFetch, Fetch, FetchBlocks, FetchDelta};

/// The most that a row may cost, whoever is asked.
#[derive(Clone, Copy)]
pub(super) struct Most {
    pub(super) requests: usize,
    /// That the hosts get rid of: those that are read, and those that lie unread in sockets.
    pub(super) bytes: u64,
}

/// How often a question is asked whose answer is cut.
pub(super) const TRIES: usize = 5;

/// How often one is asked whose answer is late: there is no more time.
pub(super) const LATE_TRIES: usize = 3;

/// The documents of a check, or a manifest and a word about what it names.
pub(super) const DOCUMENTS: u64 = 4 << 10;

/// A manifest and the tree, with a word about the image.
pub(super) const TREE: u64 = 28 << 10;

/// All that a machine fetches that has nothing.
pub(super) const RELEASE: u64 = 1376 << 10;

/// A manifest and the delta.
pub(super) const DELTA: u64 = 52 << 10;

/// What the sockets of the test's network hold, and what was written to them last.
pub(super) const UNREAD: u64 = 32 << 10;

/// The worker's own limits: of an answer's head, of words about a refusal, of a token, of an index.
pub(super) const HEAD: u64 = 16 << 10;
pub(super) const WORDS: u64 = 16 << 10;
pub(super) const TOKEN: u64 = 64 << 10;
pub(super) const INDEX: u64 = 4 << 20;

/// An index each of whose bytes comes in a chunk of its own, and what any answer may have beside.
pub(super) const CHUNKS: u64 = 2 * INDEX + (128 << 10);

impl Most {
    /// What it costs to hear the lie; nothing is asked after it.
    pub(super) fn until((wanted, at): (Wanted, Step)) -> Self {
        let way: &[Step] = match wanted {
            Check | CheckThenFetch => &[Index, Manifest, Seal],
            Fetch | FetchBlocks => &[Manifest, Tree, Frames],
            FetchDelta => &[Manifest, Delta],
        };
        // A token is asked for after the first answer.
        let before = way.iter().position(|step| *step == at).unwrap_or(1);
        let bytes = if matches!(at, Tree | Frames) { TREE } else { DOCUMENTS };
        Self { requests: before + 1, bytes }
    }

    pub(super) fn allows(self, requests: usize, bytes: u64) -> Result<(), String> {
        if requests > self.requests {
            return Err(format!("{requests} requests, and not {}", self.requests));
        }
        if bytes > self.bytes {
            return Err(format!("{bytes} bytes, and not {}", self.bytes));
        }
        Ok(())
    }
}
