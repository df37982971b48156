//! A root shell on the console of an unlocked machine, for those who asked for it on the kernel command line.

use std::ffi::CString;

use pintle_mount::feeding::FEEDING;
use pintle_sys::spawn::{Child, ExecOutcome, Program, StringArray};
use rustix::fd::AsFd;
use rustix::fs::{Mode, OFlags, open};
use rustix::process::Pid;

use crate::supervise::machine::Millis;

/// The shell that every image with one has.
const SHELL: &str = "/bin/sh";

/// Before the next shell: one that ends at once must not keep PID 1 busy.
const PAUSE: Millis = 1_000;

/// The console's shell, started again whenever it ends.
pub(crate) struct Shell {
    running: Option<Pid>,
    due: Millis,
}

impl Shell {
    /// A shell that is to be started.
    pub(crate) fn new() -> Self {
        Self { running: None, due: 0 }
    }

    /// Starts it, if it is to run and does not.
    pub(crate) fn advance(&mut self, now: Millis) -> Result<(), pintle_sys::Error> {
        if self.running.is_some() || now < self.due {
            return Ok(());
        }
        self.due = now.saturating_add(PAUSE);
        self.running = Some(start()?.pid);
        Ok(())
    }

    /// A child has ended.
    pub(crate) fn exited(&mut self, pid: Pid, now: Millis) {
        if self.running == Some(pid) {
            *self = Self { running: None, due: now.saturating_add(PAUSE) };
        }
    }

    /// When [`advance`](Self::advance) has something to do.
    pub(crate) fn deadline(&self) -> Option<Millis> {
        self.running.is_none().then_some(self.due)
    }
}

/// Gives the console to a shell until that ends; `feed` is called meanwhile.
pub(crate) fn run_to_its_end(feed: &mut dyn FnMut()) -> Result<(), pintle_sys::Error> {
    let shell = start()?;
    while shell.wait(Some(FEEDING))?.is_none() {
        feed();
    }
    match shell.exec_outcome()? {
        ExecOutcome::Failed(error) => {
            Err(pintle_sys::Error { what: "start the shell", errno: error.errno })
        }
        ExecOutcome::Pending | ExecOutcome::Done => Ok(()),
    }
}

fn start() -> Result<Child, pintle_sys::Error> {
    let what = "open the console";
    let console =
        open("/dev/console", OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| pintle_sys::Error { what, errno })?;
    let words = |words: &[&str]| {
        StringArray::new(words.iter().filter_map(|word| CString::new(*word).ok()).collect())
    };
    let (arguments, environment) = (words(&["-sh"]), words(&ENVIRONMENT));
    let path = CString::new(SHELL).unwrap_or_default();
    let console = console.as_fd();
    let program = Program {
        descriptors: &[console, console, console],
        terminal: Some(console),
        ..Program::new(&path, &arguments, &environment)
    };
    program.start()
}

const ENVIRONMENT: [&str; 3] = [
    "HOME=/root",
    "PATH=/run/pintle/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "TERM=linux",
];
