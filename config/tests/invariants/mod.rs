//! What holds for any input at all; the fuzz targets check the same.

use std::fmt::Debug;

use pintle_config::cmdline::{self, Complaint};
use pintle_config::compile::{self, Access, Diagnostic, Tree, Unchecked};
use pintle_config::{Boot, Error, Lock, ModuleTable, Overrides, System};

/// What was made of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It holds.
    Accepted,
    /// It does not, or not all of it, and it is said why.
    Refused,
}

impl Verdict {
    fn of<T, E>(result: &Result<T, E>) -> Self {
        if result.is_ok() { Self::Accepted } else { Self::Refused }
    }

    fn or(self, other: Self) -> Self {
        if self == Self::Accepted { self } else { other }
    }
}

/// Any text compiles to a configuration that its bytes mean too, or leaves diagnostics with places
/// that are in the text. It never panics.
pub(crate) fn text_compiles_or_is_explained(text: &str) -> Verdict {
    let system = compile::system(&[("system.toml", text)], &Unchecked);
    let boot = compile::boot("boot.toml", text);
    let verdict = Verdict::of(&system).or(Verdict::of(&boot));
    match system {
        Ok(system) => assert_eq!(System::from_bytes(&system.to_bytes().unwrap()), Ok(system)),
        Err(diagnostics) => are_in(text, &diagnostics),
    }
    match boot {
        Ok(boot) => assert_eq!(Boot::from_bytes(&boot.to_bytes().unwrap()), Ok(boot)),
        Err(diagnostics) => are_in(text, &diagnostics),
    }
    verdict
}

/// Whatever an image's `passwd` and `group` hold (an empty line stands between them), a service's
/// user is found in them, by a number that is one, or it is explained that there is none. It never
/// panics.
pub(crate) fn accounts_are_found_or_missed(files: &[u8]) -> Verdict {
    let middle = files.windows(2).position(|two| two == b"\n\n").unwrap_or(files.len());
    let (passwd, group) = files.split_at(middle);
    let text = "[service.a]\ncommand = [\"/a\"]\nuser = \"web\"\ngroup = \"video\"\n";
    let system = compile::system(&[("system.toml", text)], &Accounts { passwd, group });
    let verdict = Verdict::of(&system);
    match system {
        Ok(system) => {
            let user = system.services[0].user.clone().expect("the user is set");
            assert!(user.uid.get() < u32::MAX && user.gid.get() < u32::MAX);
            assert_eq!(System::from_bytes(&system.to_bytes().unwrap()), Ok(system));
        }
        Err(diagnostics) => are_in(text, &diagnostics),
    }
    verdict
}

/// An image of two files, and every command.
struct Accounts<'f> {
    passwd: &'f [u8],
    group: &'f [u8],
}

impl Tree for Accounts<'_> {
    fn access(&self, _path: &str) -> Access {
        Access::Executable
    }

    fn read(&self, path: &str, limit: usize) -> Option<Vec<u8>> {
        let bytes = match path {
            "/etc/passwd" => self.passwd,
            "/etc/group" => self.group,
            _ => return None,
        };
        Some(bytes.iter().copied().take(limit).collect())
    }
}

/// Any bytes are refused, or are a configuration that can be written and read back. It never
/// panics, and reserves no memory for lengths that lie.
pub(crate) fn bytes_decode_or_are_refused(bytes: &[u8]) -> Verdict {
    is_read_back(System::from_bytes, System::to_bytes, bytes)
        .or(is_read_back(Boot::from_bytes, Boot::to_bytes, bytes))
        .or(is_read_back(ModuleTable::from_bytes, ModuleTable::to_bytes, bytes))
}

/// Whatever stands on the command line, a locked machine takes over nothing that weakens it, takes
/// over all else as an unlocked one does, and complaints can be printed. It never panics.
pub(crate) fn a_locked_machine_stays_locked(line: &[u8]) -> Verdict {
    let (unlocked, refused) = cmdline::parse(line, Lock::Unlocked);
    let (locked, complaints) = cmdline::parse(line, Lock::Locked);
    let Overrides { verity, state_timeout, report, log, .. } = unlocked;
    let harmless = Overrides { verity, state_timeout, report, log, ..Overrides::default() };
    assert_eq!(locked, harmless);
    complaints.iter().for_each(is_printable);
    if refused.is_empty() { Verdict::Accepted } else { Verdict::Refused }
}

fn are_in(text: &str, diagnostics: &[Diagnostic]) {
    assert!(!diagnostics.is_empty(), "refused without a reason");
    for diagnostic in diagnostics {
        let line = text.split('\n').nth(diagnostic.line - 1).expect("a line of the text");
        assert!(diagnostic.column <= line.chars().count() + 1, "{diagnostic}");
    }
}

fn is_read_back<T: PartialEq + Debug>(
    from_bytes: fn(&[u8]) -> Result<T, Error>,
    to_bytes: fn(&T) -> Result<Vec<u8>, Error>,
    bytes: &[u8],
) -> Verdict {
    let read = from_bytes(bytes);
    let verdict = Verdict::of(&read);
    if let Ok(value) = read {
        let again = to_bytes(&value).expect("what was read can be written");
        assert_eq!(from_bytes(&again), Ok(value));
    }
    verdict
}

fn is_printable(complaint: &Complaint) {
    let text = complaint.to_string();
    assert!(!text.chars().any(char::is_control), "{text:?}");
}
