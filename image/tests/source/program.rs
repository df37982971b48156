//! Other people's programs.

use std::ffi::OsStr;
use std::process::Command;

/// Runs a program that must succeed, and gives what it printed.
pub(crate) fn run<S: AsRef<OsStr>>(program: &str, arguments: &[S]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .env("TZ", "UTC")
        .env("LC_ALL", "C")
        .output()
        .unwrap_or_else(|error| panic!("cannot run {program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} failed: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a shell script in a directory.
pub(crate) fn shell(directory: &std::path::Path, script: &str) -> String {
    let script = format!("cd '{}' && {script}", directory.display());
    run("sh", &["-ec", &script])
}
