//! QEMU's monitor (QMP, docs/interop/qmp-spec.rst): commands to it, events from it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// A connection to QEMU's monitor.
#[derive(Debug)]
pub(crate) struct Qmp {
    socket: UnixStream,
    answers: Receiver<Value>,
    events: Receiver<Value>,
}

impl Qmp {
    /// Greets the monitor behind `socket`.
    pub(crate) fn connect(socket: UnixStream, deadline: Instant) -> Result<Qmp> {
        let (answer_sender, answers) = mpsc::channel();
        let (event_sender, events) = mpsc::channel();
        let lines = BufReader::new(socket.try_clone()?);
        thread::spawn(move || sort(lines, &answer_sender, &event_sender));
        let mut qmp = Qmp { socket, answers, events };
        qmp.execute("qmp_capabilities", deadline)?;
        Ok(qmp)
    }

    /// Has a command without arguments carried out.
    pub(crate) fn execute(&mut self, command: &str, deadline: Instant) -> Result<Value> {
        self.execute_with(command, &json!({}), deadline)
    }

    /// Has a command carried out.
    pub(crate) fn execute_with(
        &mut self,
        command: &str,
        arguments: &Value,
        deadline: Instant,
    ) -> Result<Value> {
        let line = json!({ "execute": command, "arguments": arguments }).to_string();
        writeln!(self.socket, "{line}").with_context(|| format!("cannot tell QEMU {command}"))?;
        let answer = receive(&self.answers, deadline)?;
        match answer.get("error") {
            Some(error) => bail!("QEMU refuses {command}: {error}"),
            None => Ok(answer),
        }
    }

    /// The next event; none when QEMU has ended.
    pub(crate) fn next_event(&mut self, deadline: Instant) -> Result<Option<Value>> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.events.recv_timeout(left) {
            Ok(event) => Ok(Some(event)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => bail!("the deadline passed"),
        }
    }
}

fn receive(from: &Receiver<Value>, deadline: Instant) -> Result<Value> {
    let left = deadline.saturating_duration_since(Instant::now());
    from.recv_timeout(left).context("QEMU does not answer")
}

/// Sorts what the monitor says into answers and events, until QEMU ends.
fn sort(lines: impl BufRead, answers: &Sender<Value>, events: &Sender<Value>) {
    for value in lines.lines().map_while(Result::ok).filter_map(parse) {
        let sorted = if value.get("event").is_some() {
            events.send(value)
        } else if value.get("QMP").is_some() {
            continue;
        } else {
            answers.send(value)
        };
        if sorted.is_err() {
            return;
        }
    }
}

fn parse(line: String) -> Option<Value> {
    serde_json::from_str(&line).ok()
}
