//! Work that all cores share.

use crate::Result;
use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Each thread has a buffer; with more threads than this they would be a notable part of memory,
/// and disks are no faster for it.
const MAX_THREADS: usize = 32;

/// Hands `items` out to a thread a core until none is left, and returns when all are done. Each
/// thread makes one `state` for itself.
///
/// # Errors
/// One item's error; then items that nobody has begun are dropped.
pub fn for_each<T, S>(
    items: impl Iterator<Item = T> + Send,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, T) -> Result<()> + Sync,
) -> Result<()> {
    let items = Mutex::new(Some(items));
    let run = || {
        let mut state = state();
        while let Some(item) = next(&items) {
            work(&mut state, item).inspect_err(|_| end(&items))?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads()).map(|_| scope.spawn(run)).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        let results: Vec<Result<()>> =
            joined.map(|result| result.unwrap_or_else(|panic| resume_unwind(panic))).collect();
        results.into_iter().collect()
    })
}

fn next<I: Iterator>(items: &Mutex<Option<I>>) -> Option<I::Item> {
    items.lock().unwrap_or_else(PoisonError::into_inner).as_mut()?.next()
}

fn end<I>(items: &Mutex<Option<I>>) {
    *items.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn every_item_is_worked_on_once() {
        let sum = AtomicU64::new(0);
        let add = |_: &mut (), n| {
            sum.fetch_add(n, Ordering::Relaxed);
            Ok(())
        };
        for_each(0..1000, || (), add).unwrap();
        assert_eq!(sum.into_inner(), 999 * 1000 / 2);
    }

    #[test]
    fn an_error_ends_the_work_and_is_returned() {
        let fail = |_: &mut (), n| match n {
            7 => Err(Error::input("count", "seven")),
            _ => Ok(()),
        };
        let error = for_each(0u64.., || (), fail).unwrap_err();
        assert_eq!(error.to_string(), "cannot count: seven");
    }
}
