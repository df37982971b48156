use std::time::Duration;

use super::load::Load;

/// What the tag names from a moment on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tag {
    pub(crate) from: u64,
    pub(crate) sequence: u64,
    pub(crate) rollout: u8,
}

/// A time in which the registry serves nobody.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closed {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) how: How,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum How {
    /// It cannot be reached.
    Outage,
    /// It answers 503 to all.
    Storm,
}

/// How a registry answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    Served,
    /// 503, and when to come back.
    SentAway(Duration),
    Unreachable,
}

/// A registry that serves so many requests a second, as a token bucket, and answers 503 to what is above.
pub(crate) struct Registry {
    limit: u32,
    tags: Vec<Tag>,
    closed: Vec<Closed>,
    tokens: f64,
    filled: u64,
    pub(crate) load: Load,
}

/// What a registry that limits its clients says to those that it sends away: the same to all.
const RETRY_AFTER: Duration = Duration::from_secs(120);

/// However low the limit is, so many requests may come at once: a small fleet's registry is scaled down with it, and
/// one update is not.
const BURST_MIN: u32 = 40;

impl Registry {
    pub(crate) fn new(limit: u32, tags: Vec<Tag>, closed: Vec<Closed>) -> Self {
        let tokens = f64::from(limit.max(BURST_MIN));
        Self { limit, tags, closed, tokens, filled: 0, load: Load::default() }
    }

    /// What the tag names at a moment, in milliseconds; nothing that anybody has not got, at first.
    pub(crate) fn tag(&self, at: u64) -> Option<(usize, Tag)> {
        let named = self.tags.iter().copied().enumerate();
        named.take_while(|(_, tag)| tag.from * 1000 <= at).last()
    }

    /// So many requests, one after another, up to the first that is not served; `at` in milliseconds.
    pub(crate) fn ask(&mut self, at: u64, requests: u32) -> Answer {
        self.fill(at);
        for _ in 0..requests {
            let answer = self.answer(at);
            self.load.count(at / 1000, answer);
            if answer != Answer::Served {
                return answer;
            }
        }
        Answer::Served
    }

    fn answer(&mut self, at: u64) -> Answer {
        let is_now = |closed: &&Closed| (closed.from * 1000..closed.to * 1000).contains(&at);
        match self.closed.iter().find(is_now).map(|closed| closed.how) {
            Some(How::Outage) => return Answer::Unreachable,
            Some(How::Storm) => return Answer::SentAway(RETRY_AFTER),
            None => {}
        }
        if self.tokens < 1.0 {
            return Answer::SentAway(RETRY_AFTER);
        }
        self.tokens -= 1.0;
        Answer::Served
    }

    fn fill(&mut self, at: u64) {
        let new = (at - self.filled) as f64 / 1000.0 * f64::from(self.limit);
        self.tokens = (self.tokens + new).min(f64::from(self.limit.max(BURST_MIN)));
        self.filled = at;
    }
}
