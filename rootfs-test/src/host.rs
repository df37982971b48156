//! Running the host's programs. What must be installed for it stands in `.cargo/packages`.

use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

/// Runs a program to its end and gives what it wrote to its standard output.
///
/// # Errors
/// When it cannot be started or fails; the error holds what it wrote to both outputs.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {}", name(command)))?;
    if !output.status.success() {
        bail!("{} failed ({}): {}", name(command), output.status, complaint(&output));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A program of the host, found also where root's programs are.
pub fn program(name: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(name);
    command.env("PATH", format!("{path}:/usr/sbin:/sbin")).env("LC_ALL", "C");
    command
}

fn name(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn complaint(output: &Output) -> String {
    let text = [output.stderr.as_slice(), output.stdout.as_slice()].concat();
    String::from_utf8_lossy(&text).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{program, run};

    #[test]
    fn a_failed_program_is_named_with_what_it_said() {
        let error = run(program("sh").args(["-c", "echo no such luck >&2; exit 3"])).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("sh -c") && text.contains("status: 3") && text.contains("luck"),
            "{text}"
        );
    }
}
