//! The image's own commands before and after an installation: outside PID 1, with a time limit.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pintle_config::Update;
use rustix::process::{Pid, Signal, kill_process_group};

/// How often it is looked whether a hook has ended; it takes seconds, and happens once a release.
const PAUSE: Duration = Duration::from_millis(50);

/// Runs the hook that may be against an installation; `None` where there is none.
pub(crate) fn before(settings: &Update) -> Option<Result<(), String>> {
    let command = settings.before.as_ref()?;
    Some(run("before", command, settings.hook_timeout.duration()))
}

/// Runs the hook that is told of an installation.
pub(crate) fn after(settings: &Update) -> Option<Result<(), String>> {
    let command = settings.after.as_ref()?;
    Some(run("after", command, settings.hook_timeout.duration()))
}

fn run(name: &str, command: &pintle_config::Command, limit: Duration) -> Result<(), String> {
    let mut process = Command::new(command.program.as_str());
    process.args(command.argv().skip(1)).stdin(Stdio::null()).process_group(0);
    let child = process.spawn().map_err(|cause| format!("cannot run hook {name}: {cause}"))?;
    wait(name, child, limit)
}

/// What the hook started ends with it.
fn wait(name: &str, mut child: Child, limit: Duration) -> Result<(), String> {
    let deadline = Instant::now() + limit;
    let ended = loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => break Ok(()),
            Ok(Some(status)) => break Err(format!("hook {name} is against it: {status}")),
            Ok(None) if Instant::now() >= deadline => {
                break Err(format!("hook {name} did not end in {} s", limit.as_secs()));
            }
            Ok(None) => sleep(PAUSE),
            Err(cause) => break Err(format!("cannot wait for hook {name}: {cause}")),
        }
    };
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        kill_process_group(group, Signal::KILL).unwrap_or_default();
    }
    child.wait().map_err(|cause| format!("cannot wait for hook {name}: {cause}"))?;
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Result<(), String> {
        let mut process = Command::new("/bin/sh");
        wait("before", process.args(["-c", script]).process_group(0).spawn().unwrap(), limit)
    }

    #[test]
    fn a_hook_agrees_objects_or_is_ended() {
        let long = Duration::from_secs(600);
        assert_eq!(shell("exit 0", long), Ok(()));
        assert!(shell("exit 3", long).unwrap_err().contains("is against it: exit status: 3"));
        let hung = shell("trap '' TERM; sleep 1000 & wait", Duration::ZERO);
        assert_eq!(hung.unwrap_err(), "hook before did not end in 0 s");
    }
}
