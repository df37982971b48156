//! What an entry's name asks for: image-spec layer.md, and what no image may ask for.

use super::Fault;
use crate::tree::{NAME_MAX, PATH_MAX, split};

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What an entry's name is about. All paths are relative, without empty, `.` and `..` components,
/// without NUL, within Linux's limits, and not beneath a whiteout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject<'a> {
    /// The root directory itself.
    Root,
    /// The file of that path.
    Path(&'a [u8]),
    /// A whiteout: lower layers' file of that name is gone.
    Whiteout {
        /// The directory's path, empty for the root.
        directory: &'a [u8],
        /// The name that is hidden.
        name: &'a [u8],
    },
    /// An opaque whiteout: all that lower layers have in the directory is gone.
    Opaque {
        /// The directory's path, empty for the root.
        directory: &'a [u8],
    },
}

impl<'a> Subject<'a> {
    /// Reads a name as it stands in the archive.
    ///
    /// One `./` in front and, of a directory, one `/` behind are how tar programs write names; any
    /// other redundancy is an error, because readers differ in what they make of it.
    pub fn parse(name: &'a [u8]) -> Result<Self, Fault> {
        let path = match name {
            b"" => return Err(Fault::Name("is empty")),
            b"." | b"./" => return Ok(Self::Root),
            _ => check(strip(name))?,
        };
        let (directory, last) = split(path);
        match last.strip_prefix(WHITEOUT) {
            None => Ok(Self::Path(path)),
            Some(_) if last == OPAQUE => Ok(Self::Opaque { directory }),
            Some(b"") => Err(Fault::Whiteout("of nothing")),
            Some(b"." | b"..") => Err(Fault::Whiteout("of the directory itself")),
            Some(name) => Ok(Self::Whiteout { directory, name }),
        }
    }
}

/// A hardlink's target is a path as an entry's name is, but neither the root nor a whiteout.
pub(super) fn hardlink_target(name: &[u8]) -> Result<&[u8], Fault> {
    match Subject::parse(name)? {
        Subject::Path(path) => Ok(path),
        _ => Err(Fault::Name("of the link's target is not a file's")),
    }
}

/// A symlink's target may be any path that Linux takes.
pub(crate) fn symlink_target(target: &[u8]) -> Result<&[u8], Fault> {
    match target.len() {
        0 => Err(Fault::Name("of the symlink's target is empty")),
        1..=PATH_MAX => Ok(target),
        _ => Err(Fault::Name("of the symlink's target is longer than 4095 bytes")),
    }
}

fn strip(name: &[u8]) -> &[u8] {
    let name = name.strip_prefix(b"./").unwrap_or(name);
    name.strip_suffix(b"/").unwrap_or(name)
}

fn check(path: &[u8]) -> Result<&[u8], Fault> {
    if path.starts_with(b"/") {
        return Err(Fault::Name("is absolute"));
    }
    if path.len() > PATH_MAX {
        return Err(Fault::Name("is longer than 4095 bytes"));
    }
    let (directory, _) = split(path);
    path.split(|byte| *byte == b'/').try_for_each(check_component)?;
    match directory.split(|byte| *byte == b'/').any(|name| name.starts_with(WHITEOUT)) {
        true => Err(Fault::Whiteout("with files beneath it")),
        false => Ok(path),
    }
}

fn check_component(name: &[u8]) -> Result<(), Fault> {
    match name {
        b"" => Err(Fault::Name("has an empty component")),
        b"." => Err(Fault::Name("has a component '.'")),
        b".." => Err(Fault::Name("has a component '..'")),
        _ if name.len() > NAME_MAX => Err(Fault::Name("has a component longer than 255 bytes")),
        _ if name.contains(&0) => Err(Fault::Name("has a NUL in it")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_tar_programs_write_them() {
        for root in ["./", "."] {
            assert_eq!(Subject::parse(root.as_bytes()).unwrap(), Subject::Root);
        }
        for name in ["etc/x", "./etc/x", "etc/x/", "./etc/x/"] {
            assert_eq!(Subject::parse(name.as_bytes()).unwrap(), Subject::Path(b"etc/x"), "{name}");
        }
        for name in ["...", ".wh", "..a", "a.wh.b", "wh./x", " "] {
            assert_eq!(Subject::parse(name.as_bytes()).unwrap(), Subject::Path(name.as_bytes()));
        }
    }

    #[test]
    fn whiteouts() {
        let whiteout = |directory, name| Subject::Whiteout { directory, name };
        let cases: &[(&str, Subject<'_>)] = &[
            (".wh.a", whiteout(b"", b"a")),
            ("./etc/.wh.a", whiteout(b"etc", b"a")),
            ("etc/.wh.a/", whiteout(b"etc", b"a")),
            ("etc/.wh..a", whiteout(b"etc", b".a")),
            ("etc/.wh..wh.plnk", whiteout(b"etc", b".wh.plnk")),
            ("etc/.wh..wh..opq", Subject::Opaque { directory: b"etc" }),
            (".wh..wh..opq", Subject::Opaque { directory: b"" }),
        ];
        for (name, subject) in cases {
            assert_eq!(Subject::parse(name.as_bytes()).unwrap(), *subject, "{name}");
        }
    }

    #[test]
    fn names_that_no_image_may_hold() {
        let long_name = "n".repeat(256);
        let long_path = "p/".repeat(2048) + "p";
        let cases = [
            ("", "the name is empty"),
            ("/", "the name has an empty component"),
            ("//", "the name is absolute"),
            ("/etc/x", "the name is absolute"),
            (".//etc", "the name is absolute"),
            ("etc//x", "the name has an empty component"),
            ("etc/x//", "the name has an empty component"),
            ("..", "the name has a component '..'"),
            ("../x", "the name has a component '..'"),
            ("etc/../../x", "the name has a component '..'"),
            ("etc/..", "the name has a component '..'"),
            ("././x", "the name has a component '.'"),
            ("etc/./x", "the name has a component '.'"),
            ("etc/x\0y", "the name has a NUL in it"),
            (&long_name, "the name has a component longer than 255 bytes"),
            (&long_path, "the name is longer than 4095 bytes"),
            (".wh.", "whiteout: of nothing"),
            ("etc/.wh.", "whiteout: of nothing"),
            ("etc/.wh..", "whiteout: of the directory itself"),
            ("etc/.wh...", "whiteout: of the directory itself"),
            ("etc/.wh.a/b", "whiteout: with files beneath it"),
            (".wh..wh..opq/b", "whiteout: with files beneath it"),
        ];
        for (name, why) in cases {
            assert_eq!(Subject::parse(name.as_bytes()).unwrap_err().to_string(), why, "{name:?}");
        }
    }
}
