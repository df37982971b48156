//! The image's files, as far as the configuration speaks of them.

/// A tree of files in which the configuration's paths, users and groups are looked up.
pub trait Tree {
    /// What stands at an absolute path, symbolic links followed within the tree.
    fn access(&self, path: &str) -> Access;

    /// The first `limit` bytes of the file at an absolute path, symbolic links followed within the
    /// tree, if it is a regular file.
    fn read(&self, path: &str, limit: usize) -> Option<Vec<u8>>;

    /// As `read`, on the machine that compiles: for suggestions alone, because nothing of that
    /// machine belongs into an image.
    fn read_elsewhere(&self, _path: &str, _limit: usize) -> Option<Vec<u8>> {
        None
    }
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing, or a symbolic link to nothing.
    Missing,
    /// Something that is no regular file.
    NotAFile,
    /// A regular file without an `x` in its mode.
    NotExecutable,
    /// A regular file with an `x` in its mode.
    Executable,
}

/// A tree of which nothing is known, to check a text by itself: every file is there and executable,
/// and no user or group has a name.
#[derive(Clone, Copy, Debug)]
pub struct Unchecked;

impl Tree for Unchecked {
    fn access(&self, _path: &str) -> Access {
        Access::Executable
    }

    fn read(&self, _path: &str, _limit: usize) -> Option<Vec<u8>> {
        None
    }
}

/// The longest `#!` line that Linux reads (`BINPRM_BUF_SIZE`).
const SCRIPT_LINE_MAX: usize = 256;

/// The supervisor, by a name that it has wherever it was executed from: also where the image has none of its own.
const INIT_ITSELF: &str = "/proc/1/exe";

/// Why the kernel would not execute a path of the tree, if it would not.
pub(super) fn why_not_executable(tree: &dyn Tree, path: &str) -> Option<String> {
    if path == INIT_ITSELF {
        return None;
    }
    let cause = match tree.access(path) {
        Access::Missing => "which is not in the image".to_owned(),
        Access::NotAFile => "which is not a file".to_owned(),
        Access::NotExecutable => "which is not executable".to_owned(),
        Access::Executable => {
            let interpreter = interpreter(&tree.read(path, SCRIPT_LINE_MAX)?)?;
            let missing = tree.access(&interpreter) != Access::Executable;
            missing.then(|| format!("whose interpreter {interpreter:?} is not in the image"))?
        }
    };
    Some(format!("{path:?}, {cause}"))
}

/// The interpreter that a script names in its first line.
fn interpreter(head: &[u8]) -> Option<String> {
    let line = head.strip_prefix(b"#!")?.split(|b| *b == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    line.split_ascii_whitespace().next().filter(|path| path.starts_with('/')).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_name_their_interpreter() {
        let cases: [(&[u8], Option<&str>); 6] = [
            (b"#!/bin/sh\nexit", Some("/bin/sh")),
            (b"#! /usr/bin/env python3", Some("/usr/bin/env")),
            (b"\x7fELF", None),
            (b"#!", None),
            (b"#!sh", None),
            (b"", None),
        ];
        for (head, expected) in cases {
            assert_eq!(interpreter(head).as_deref(), expected);
        }
    }
}
