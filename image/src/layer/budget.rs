//! Memory for zstd windows, shared by all threads that unpack.

use std::sync::{Condvar, Mutex, PoisonError};

/// Bytes of memory that are handed out and given back. Nobody may wait for some while holding some.
#[derive(Debug)]
pub(super) struct Budget {
    total: u64,
    free: Mutex<u64>,
    returned: Condvar,
}

impl Budget {
    pub(super) fn new(total: u64) -> Self {
        Self { total, free: Mutex::new(total), returned: Condvar::new() }
    }

    /// Waits until there are `bytes`. Who wants more than there is in total gets it once nobody
    /// else has any.
    pub(super) fn acquire(&self, bytes: u64) -> Permit<'_> {
        let bytes = bytes.min(self.total);
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self
            .returned
            .wait_while(free, |free| *free < bytes)
            .unwrap_or_else(PoisonError::into_inner);
        *free -= bytes;
        Permit { budget: self, bytes }
    }
}

/// Memory that was granted; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Permit<'b> {
    budget: &'b Budget,
    bytes: u64,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.budget.free.lock().unwrap_or_else(PoisonError::into_inner) += self.bytes;
        self.budget.returned.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    #[test]
    fn never_more_than_the_total_is_out_and_everybody_gets_a_turn() {
        let budget = Budget::new(10);
        let out = AtomicU64::new(0);
        thread::scope(|scope| {
            for wanted in [3, 4, 7, 10, 99, 1, 5, 10] {
                let (budget, out) = (&budget, &out);
                scope.spawn(move || {
                    for _ in 0..200 {
                        let permit = budget.acquire(wanted);
                        let before = out.fetch_add(permit.bytes, Ordering::SeqCst);
                        assert!(before + permit.bytes <= 10);
                        out.fetch_sub(permit.bytes, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(*budget.free.lock().unwrap(), 10);
    }
}
