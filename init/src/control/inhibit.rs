//! `pintlectl inhibit`: no reboot into an update while a command runs.

use std::process::Command;

use super::{Failure, refused};
use crate::update::inhibitors;

/// Runs `command`; what it says and how it ends is its own.
pub(super) fn run(who: &str, why: &str, command: &[&str]) -> Result<String, Failure> {
    let [program, arguments @ ..] = command else {
        return Err(Failure::Usage("inhibit: expected a command".to_owned()));
    };
    let _held = inhibitors::inhibit(who, why).map_err(|cause| refused(&cause))?;
    let status = Command::new(program).args(arguments).status();
    match status {
        Ok(status) if status.success() => Ok(String::new()),
        Ok(status) => Err(Failure::Cause(format!("pintlectl: {program}: {status}"))),
        Err(cause) => Err(Failure::Cause(format!("pintlectl: cannot run {program}: {cause}"))),
    }
}
