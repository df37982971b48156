//! What may block is done by children of the same binary, one at a time: PID 1 only starts them and hears how they ended.

use std::collections::VecDeque;
use std::ffi::CString;

use pintle_sys::spawn::{Program, StringArray};
use rustix::process::{Pid, Signal, kill_process};

use crate::supervise::machine::{Millis, Outcome};

/// A rename and some syncs take milliseconds; a disk that needs longer is one to give up on.
const TIME_LIMIT: Millis = 10_000;

/// The name by which the binary knows that it is to work on the store.
pub(crate) const STORE: &str = "pintle-store";

/// What a child can do to the store for PID 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Task {
    /// Keeps the report, so that the reason for what follows is not lost.
    Keep,
    /// Marks the running entry good.
    Bless,
    /// Remembers the entries that turned out bad, and empties some of the trash.
    Tidy,
    /// Puts the running entry on trial again.
    Demote,
    /// Notes that the running entry has been well for long.
    Settle,
    /// Notes a clean shutdown.
    Clean,
    /// Notes that the running entry fails for nothing but that its registry cannot be reached.
    Unreached,
}

/// What the store's child does now, and what it shall do afterwards, in order.
#[derive(Default, Debug)]
pub(crate) struct Jobs {
    running: Option<Job>,
    /// Each task once at most: doing it twice in a row changes nothing.
    waiting: VecDeque<Task>,
}

/// A child at work.
#[derive(Debug)]
struct Job {
    task: Task,
    pid: Pid,
    deadline: Millis,
}

/// How a task went.
#[derive(Debug)]
pub(crate) enum Done {
    Well,
    /// It could not be started.
    NotStarted(pintle_sys::Error),
    /// The child could not do it; it has said why itself.
    Failed,
    /// The child took too long.
    TooLate,
}

impl Task {
    /// All of them.
    const ALL: [Task; 7] = [
        Task::Keep,
        Task::Bless,
        Task::Tidy,
        Task::Demote,
        Task::Settle,
        Task::Clean,
        Task::Unreached,
    ];

    /// The word on the child's command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Task::Keep => "keep",
            Task::Bless => "bless",
            Task::Tidy => "tidy",
            Task::Demote => "demote",
            Task::Settle => "settle",
            Task::Clean => "clean",
            Task::Unreached => "unreached",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.word() == word)
    }
}

impl Jobs {
    /// Has a task done after those that are asked for already.
    pub(crate) fn add(&mut self, task: Task) {
        if !self.waiting.contains(&task) {
            self.waiting.push_back(task);
        }
    }

    /// Starts what is next, or gives up what takes too long; a task that came to its end so.
    pub(crate) fn advance(&mut self, now: Millis) -> Option<(Task, Done)> {
        if let Some(late) = self.running.take_if(|job| job.deadline <= now) {
            late.give_up();
            return Some((late.task, Done::TooLate));
        }
        if self.running.is_some() {
            return None;
        }
        let task = self.waiting.pop_front()?;
        match Job::start(task, now) {
            Ok(job) => self.running = Some(job),
            Err(error) => return Some((task, Done::NotStarted(error))),
        }
        None
    }

    /// A child has ended; its task, if it had one.
    pub(crate) fn exited(&mut self, pid: Pid, outcome: Outcome) -> Option<(Task, Done)> {
        let job = self.running.take_if(|job| job.pid == pid)?;
        Some(match outcome {
            Outcome::Success => (job.task, Done::Well),
            Outcome::Failure => (job.task, Done::Failed),
        })
    }

    /// Whether nothing is to be done any more.
    pub(crate) fn are_done(&self) -> bool {
        self.running.is_none() && self.waiting.is_empty()
    }

    /// When [`advance`](Self::advance) has something to do.
    pub(crate) fn deadline(&self) -> Option<Millis> {
        match &self.running {
            Some(job) => Some(job.deadline),
            None => (!self.waiting.is_empty()).then_some(0),
        }
    }
}

impl Job {
    /// Starts a child that does `task`.
    fn start(task: Task, now: Millis) -> Result<Self, pintle_sys::Error> {
        // No task's word has a NUL in it.
        let words = [STORE, task.word()].into_iter();
        let arguments = words.filter_map(|word| CString::new(word).ok()).collect();
        let arguments = StringArray::new(arguments);
        let environment = StringArray::new(Vec::new());
        let child = Program::new(c"/proc/self/exe", &arguments, &environment).start()?;
        Ok(Self { task, pid: child.pid, deadline: now.saturating_add(TIME_LIMIT) })
    }

    /// Ends a child that takes too long. One that hangs in the kernel stays until the reset.
    fn give_up(&self) {
        kill_process(self.pid, Signal::KILL).unwrap_or_default();
    }
}
