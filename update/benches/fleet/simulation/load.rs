use std::ops::Range;

use super::registry::Answer;

/// What came, a second each.
#[derive(Default)]
pub(crate) struct Load {
    /// Requests, whatever became of them.
    pub(crate) asked: Counts,
    /// Those that were answered with 503, or not at all.
    pub(crate) sent_away: Counts,
}

/// How often something happened, a second each.
#[derive(Default)]
pub(crate) struct Counts(Vec<u32>);

impl Load {
    pub(crate) fn count(&mut self, second: u64, answer: Answer) {
        self.asked.count(second);
        if answer != Answer::Served {
            self.sent_away.count(second);
        }
    }
}

impl Counts {
    pub(crate) fn count(&mut self, second: u64) {
        let index = second as usize;
        if self.0.len() <= index {
            self.0.resize(index + 1, 0);
        }
        self.0[index] += 1;
    }

    /// How often within these seconds.
    pub(crate) fn total(&self, span: &Range<u64>) -> u64 {
        self.within(span).iter().map(|count| u64::from(*count)).sum()
    }

    /// A second, on average.
    pub(crate) fn mean(&self, span: &Range<u64>) -> f64 {
        self.total(span) as f64 / (span.end - span.start) as f64
    }

    /// A second, on average in the worst of the parts of `length` seconds.
    pub(crate) fn peak(&self, span: &Range<u64>, length: u64) -> f64 {
        self.parts(span, length).into_iter().fold(0.0, f64::max)
    }

    /// A second, on average in each part of `length` seconds.
    pub(crate) fn parts(&self, span: &Range<u64>, length: u64) -> Vec<f64> {
        let starts = span.clone().step_by(length as usize);
        starts.map(|start| self.mean(&(start..start + length))).collect()
    }

    fn within(&self, span: &Range<u64>) -> &[u32] {
        let end = (span.end as usize).min(self.0.len());
        &self.0[(span.start as usize).min(end)..end]
    }
}
