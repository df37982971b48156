//! The machine's own report: JSON lines from the virtio port [`PORT`].

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::Value;

/// The name of the report's virtio port.
pub(crate) const PORT: &str = "org.pintle.report";

/// One line of a machine's report.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    line: String,
    value: Value,
}

impl Report {
    /// Reads a line. What a power cut tore is kept as a report without an event.
    fn parse(line: String) -> Report {
        let value = serde_json::from_str(&line).unwrap_or_default();
        Report { line, value }
    }

    /// What happened, such as `entry-chosen`.
    pub fn event(&self) -> &str {
        self.text("event")
    }

    /// When, since the machine was switched on.
    pub fn time(&self) -> Duration {
        Duration::from_micros(self.number("t"))
    }

    /// A field's text; empty if there is none.
    pub fn text(&self, field: &str) -> &str {
        self.value[field].as_str().unwrap_or_default()
    }

    /// A field's number; 0 if there is none.
    pub fn number(&self, field: &str) -> u64 {
        self.value[field].as_u64().unwrap_or_default()
    }

    /// A field as it came; null if there is none.
    pub fn field(&self, field: &str) -> &Value {
        &self.value[field]
    }

    /// All fields with their names.
    pub fn fields(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.value.as_object().into_iter().flatten()
    }

    /// The line as it came.
    pub fn line(&self) -> &str {
        &self.line
    }
}

/// The report of a running machine: what has been read of it, and what is still to come.
#[derive(Debug)]
pub(crate) struct Reports {
    ahead: Receiver<Report>,
    seen: Vec<Report>,
}

impl Reports {
    /// Begins to read.
    pub(crate) fn read(port: impl Read + Send + 'static) -> Reports {
        let (sender, ahead) = mpsc::channel();
        thread::spawn(move || {
            let mut lines = BufReader::new(port).split(b'\n');
            // It ends with the machine, or when nobody listens any more.
            while let Some(Ok(line)) = lines.next() {
                let line = String::from_utf8_lossy(&line).into_owned();
                if sender.send(Report::parse(line)).is_err() {
                    return;
                }
            }
        });
        Reports { ahead, seen: Vec::new() }
    }

    /// The next report from here on that `wanted` holds for; those before it are passed over.
    pub(crate) fn find(
        &mut self,
        wanted: impl Fn(&Report) -> bool,
        deadline: Instant,
    ) -> Result<Report> {
        loop {
            let report = self.next(deadline)?;
            if wanted(&report) {
                return Ok(report);
            }
        }
    }

    /// Everything read so far, oldest first.
    pub(crate) fn seen(&self) -> &[Report] {
        &self.seen
    }

    /// Reads until the machine ends.
    pub(crate) fn read_rest(&mut self, deadline: Instant) {
        while self.next(deadline).is_ok() {}
    }

    fn next(&mut self, deadline: Instant) -> Result<Report> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.ahead.recv_timeout(left) {
            Ok(report) => {
                self.seen.push(report.clone());
                Ok(report)
            }
            Err(RecvTimeoutError::Timeout) => bail!("the deadline passed"),
            Err(RecvTimeoutError::Disconnected) => bail!("the machine ended"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reports(text: &'static str) -> Reports {
        Reports::read(text.as_bytes())
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn a_report_is_found_among_others() {
        let mut reports =
            reports("{\"t\":1,\"event\":\"a\"}\ntorn{\n{\"t\":7,\"event\":\"b\",\"n\":\"x\"}\n");
        let found = reports.find(|report| report.event() == "b", soon()).unwrap();
        assert_eq!((found.time().as_micros(), found.text("n")), (7, "x"));
        assert_eq!(reports.seen().len(), 3);
    }

    #[test]
    fn a_report_that_never_comes_ends_with_the_machine() {
        let error = reports("{}\n").find(|report| report.event() == "b", soon()).unwrap_err();
        assert_eq!(error.to_string(), "the machine ended");
    }
}
