//! What may block is done by children of the same binary: PID 1 only starts them and hears how they ended.

use std::ffi::CString;

use pintle_sys::spawn::{Program, StringArray};
use rustix::process::{Pid, Signal, kill_process};

use crate::supervise::machine::Millis;

/// A rename and some syncs take milliseconds; a disk that needs longer is one to give up on.
const TIME_LIMIT: Millis = 10_000;

/// The name by which the binary knows that it is to work on the store.
pub(crate) const STORE: &str = "pintle-store";

/// What a child can do to the store for PID 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Task {
    /// Marks the running entry good.
    Bless,
    /// Puts the running entry on trial again.
    Demote,
    /// Notes that the running entry has been well for long.
    Settle,
    /// Notes a clean shutdown.
    Clean,
}

/// A child at work.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) task: Task,
    pub(crate) pid: Pid,
    pub(crate) deadline: Millis,
}

impl Task {
    /// All of them.
    const ALL: [Task; 4] = [Task::Bless, Task::Demote, Task::Settle, Task::Clean];

    /// The word on the child's command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Task::Bless => "bless",
            Task::Demote => "demote",
            Task::Settle => "settle",
            Task::Clean => "clean",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.word() == word)
    }
}

impl Job {
    /// Starts a child that does `task` to `entry`.
    pub(crate) fn start(task: Task, entry: &str, now: Millis) -> Result<Self, pintle_sys::Error> {
        let words = [STORE, task.word(), entry];
        // An entry's name has no NUL: it was a file's name.
        let arguments = words.iter().filter_map(|word| CString::new(*word).ok()).collect();
        let arguments = StringArray::new(arguments);
        let environment = StringArray::new(Vec::new());
        let child = Program::new(c"/proc/self/exe", &arguments, &environment).start()?;
        Ok(Self { task, pid: child.pid, deadline: now.saturating_add(TIME_LIMIT) })
    }

    /// Ends a child that takes too long. One that hangs in the kernel stays until the reset.
    pub(crate) fn give_up(&self) {
        kill_process(self.pid, Signal::KILL).unwrap_or_default();
    }
}
