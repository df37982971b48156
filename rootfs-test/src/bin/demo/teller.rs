//! How the demo speaks: numbered steps, and what the machine itself reports below them.

use std::time::Instant;

use pintle_rootfs_test::{Machine, Report};

/// Counts the steps, and remembers how much of a machine's report has been shown.
pub(crate) struct Teller {
    begun: Instant,
    steps: usize,
    shown: usize,
}

impl Teller {
    pub(crate) fn new() -> Teller {
        Teller { begun: Instant::now(), steps: 0, shown: 0 }
    }

    /// Announces what happens now.
    pub(crate) fn step(&mut self, sentence: &str) {
        self.steps += 1;
        println!("\n{:>2}. {sentence}", self.steps);
    }

    /// Says how it went.
    pub(crate) fn says(&self, sentence: &str) {
        println!("    {sentence}");
    }

    /// Shows what another machine reports from here on.
    pub(crate) fn begin_report(&mut self) {
        self.shown = 0;
    }

    /// Shows what the machine has reported since the last time.
    pub(crate) fn report(&mut self, machine: &Machine) {
        let reports = machine.reports();
        for report in reports.get(self.shown..).unwrap_or_default() {
            println!("    | {:>8.3} s  {}", report.time().as_secs_f64(), describe(report));
        }
        self.shown = reports.len();
    }

    pub(crate) fn end(&self) {
        let seconds = self.begun.elapsed().as_secs();
        println!("\nAll {} steps held. It took {seconds} s.", self.steps);
        println!("To look around in such a machine: cargo boot -- --shell");
    }
}

/// `event field=value …`
fn describe(report: &Report) -> String {
    let fields = report.fields().filter(|(name, _)| !matches!(name.as_str(), "t" | "event"));
    let fields = fields.map(|(name, value)| format!("  {name}={}", plain(value)));
    format!("{:<15}{}", report.event(), fields.collect::<String>())
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}
