use std::time::Duration;

/// Delays that double, up to a limit, each shortened by up to a half so that many machines that
/// failed together do not come again together.
#[derive(Debug)]
pub(crate) struct Backoff {
    state: u64,
}

impl Backoff {
    /// The same seed gives the same delays.
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Before try `attempt`, the first retry being 1: from `base` on, never over `longest`.
    pub(crate) fn delay(
        &mut self,
        attempt: u32,
        (base, longest): (Duration, Duration),
    ) -> Duration {
        let doubled =
            base.saturating_mul(1u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX));
        let delay = doubled.min(longest);
        delay - delay.mul_f64(self.fraction() / 2.0)
    }

    /// From 0 to 1: Vigna's splitmix64, which takes any seed.
    fn fraction(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn delays_double_up_to_the_limit_and_vary() {
        let mut backoff = Backoff::new(7);
        for (attempt, most) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (40, 10), (u32::MAX, 10)] {
            let delay = backoff.delay(attempt, (SECOND, 10 * SECOND));
            assert!((most * SECOND / 2..=most * SECOND).contains(&delay), "{attempt}: {delay:?}");
        }
    }

    #[test]
    fn another_seed_gives_other_delays() {
        let delays = |seed| {
            let mut backoff = Backoff::new(seed);
            [1, 2, 3].map(|attempt| backoff.delay(attempt, (SECOND, 10 * SECOND)))
        };
        assert_eq!(delays(1), delays(1));
        assert_ne!(delays(1), delays(2));
    }
}
