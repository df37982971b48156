//! Paths inside a tree: what they lead to, and how symlinks are followed without ever leaving the
//! tree.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use super::{Body, Inode, InodeId, Tree};

/// Linux's limit on a name, in bytes: `NAME_MAX` in linux/limits.h.
pub const NAME_MAX: usize = 255;

/// Linux's limit on a path without its NUL, in bytes: `PATH_MAX` in linux/limits.h, less one.
pub const PATH_MAX: usize = 4095;

/// Linux's limit on symlinks followed in one look-up: `MAXSYMLINKS` in linux/namei.h.
const SYMLINKS_MAX: usize = 40;

/// Why a path leads nowhere, or cannot be made to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PathError {
    /// Nothing of that name is there.
    NotFound,
    /// Something on the way is neither a directory nor a symlink to one.
    NotADirectory,
    /// A directory stands where none may.
    IsADirectory,
    /// More symlinks than Linux follows.
    TooManySymlinks,
    /// A symlink leads through a missing directory to `..`.
    DanglingSymlink,
    /// Empty, `.`, `..`, too long, or with a slash or NUL in it.
    BadName,
    /// A directory that processes could not name: its path is longer than [`PATH_MAX`].
    TooLong,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "no such file",
            Self::NotADirectory => "something on the way is not a directory",
            Self::IsADirectory => "it is a directory",
            Self::TooManySymlinks => "more than 40 symlinks on the way",
            Self::DanglingSymlink => "a symlink on the way leads nowhere",
            Self::BadName => "not a file name",
            Self::TooLong => "the directory's real path is longer than 4095 bytes",
        })
    }
}

impl std::error::Error for PathError {}

/// Where a path ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    /// At an inode.
    Inode(InodeId),
    /// At a directory without the next name.
    Missing {
        /// The last directory that is there.
        directory: InodeId,
        /// The names that are not, all of them plain.
        names: Vec<Box<[u8]>>,
    },
}

impl Tree {
    /// What stands at exactly this path; a symlink on the way is not followed.
    pub fn lookup(&self, path: impl AsRef<[u8]>) -> Option<InodeId> {
        components(path.as_ref()).try_fold(self.root(), |at, name| self.child(at, name))
    }

    /// What this path leads to as the image's own processes see it: symlinks followed, `..` at the
    /// root is the root.
    pub fn resolve(&self, path: impl AsRef<[u8]>) -> Result<InodeId, PathError> {
        match self.find(path.as_ref())? {
            Found::Inode(id) => Ok(id),
            Found::Missing { .. } => Err(PathError::NotFound),
        }
    }

    /// As [`resolve`](Self::resolve), but tells what is missing.
    pub fn find(&self, path: &[u8]) -> Result<Found, PathError> {
        Search::new(self, path).run().map(|place| place.found)
    }

    /// As [`resolve`](Self::resolve), but these symlinks lead nowhere.
    pub(crate) fn resolve_without(
        &self,
        path: &[u8],
        symlinks: &HashSet<InodeId>,
    ) -> Result<InodeId, PathError> {
        let search = Search { without: Some(symlinks), ..Search::new(self, path) };
        match search.run()?.found {
            Found::Inode(id) => Ok(id),
            Found::Missing { .. } => Err(PathError::NotFound),
        }
    }

    /// The directory that `path` leads to; missing ones are made as [`Inode::implied_directory`].
    pub fn make_directories(&mut self, path: &[u8]) -> Result<InodeId, PathError> {
        let place = Search::new(self, path).run()?;
        let id = match place.found {
            Found::Inode(id) => id,
            Found::Missing { directory, names } => {
                check_length(place.length, &names)?;
                self.make_chain(directory, &names)?
            }
        };
        if self.inode(id).is_directory() { Ok(id) } else { Err(PathError::NotADirectory) }
    }

    fn make_chain(&mut self, from: InodeId, names: &[Box<[u8]>]) -> Result<InodeId, PathError> {
        names.iter().try_fold(from, |at, name| self.insert(at, name, Inode::implied_directory()))
    }
}

/// A path's parent and last name, without slashes at the end.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let end = path.iter().rposition(|&byte| byte != b'/').map_or(0, |at| at + 1);
    let path = &path[..end];
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

/// Whether a directory can hold this name.
pub(crate) fn check_name(name: &[u8]) -> Result<(), PathError> {
    let plain = !matches!(name, b"" | b"." | b"..") && name.len() <= NAME_MAX;
    if plain && !name.iter().any(|byte| matches!(byte, b'/' | 0)) {
        Ok(())
    } else {
        Err(PathError::BadName)
    }
}

/// Without this, a symlink to a deep directory could be used again and again to go deeper.
fn check_length(existing: usize, names: &[Box<[u8]>]) -> Result<(), PathError> {
    let length = existing + names.iter().map(|name| 1 + name.len()).sum::<usize>();
    if length <= PATH_MAX { Ok(()) } else { Err(PathError::TooLong) }
}

/// A path up to this length, which every single name has, is shown whole.
const SHOWN_WHOLE: usize = 255;

/// What is shown of each end of a longer one.
const SHOWN_END: usize = 64;

/// A path as text: what is no UTF-8 or not printable is escaped, the middle of a long one left out.
pub(crate) fn display(path: &[u8]) -> Cow<'_, str> {
    if path.len() <= SHOWN_WHOLE {
        return printable(path);
    }
    let (start, end) = (&path[..SHOWN_END], &path[path.len() - SHOWN_END..]);
    format!("{}…{} ({} bytes)", printable(start), printable(end), path.len()).into()
}

fn printable(path: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(path) {
        Ok(text) if !text.contains(char::is_control) => Cow::Borrowed(text),
        _ => Cow::Owned(path.escape_ascii().to_string()),
    }
}

fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').filter(|name| !matches!(*name, b"" | b"."))
}

/// A look-up on its way: the directories behind it and the names before it.
struct Search<'a> {
    tree: &'a Tree,
    /// From below the root to where we are, each with the length of its real path.
    trail: Vec<(InodeId, usize)>,
    /// Names still to go, the next one last.
    ahead: Vec<&'a [u8]>,
    symlinks: usize,
    /// Symlinks that are not followed.
    without: Option<&'a HashSet<InodeId>>,
}

/// Where a look-up ended.
struct Place {
    found: Found,
    /// Length of the real path of the last inode that is there, in bytes.
    length: usize,
}

impl<'a> Search<'a> {
    fn new(tree: &'a Tree, path: &'a [u8]) -> Self {
        let ahead = components(path).rev().collect();
        Self { tree, trail: Vec::new(), ahead, symlinks: 0, without: None }
    }

    fn run(mut self) -> Result<Place, PathError> {
        while let Some(name) = self.ahead.pop() {
            if !self.tree.inode(self.at()).is_directory() {
                return Err(PathError::NotADirectory);
            }
            if name == b".." {
                self.trail.pop();
            } else if let Some(id) = self.tree.child(self.at(), name) {
                self.enter(name, id)?;
            } else {
                return self.missing(name);
            }
        }
        Ok(Place { found: Found::Inode(self.at()), length: self.length() })
    }

    fn at(&self) -> InodeId {
        self.trail.last().map_or(self.tree.root(), |(id, _)| *id)
    }

    fn length(&self) -> usize {
        self.trail.last().map_or(0, |(_, length)| *length)
    }

    fn enter(&mut self, name: &[u8], id: InodeId) -> Result<(), PathError> {
        match &self.tree.inode(id).body {
            Body::Symlink(_) if self.without.is_some_and(|ids| ids.contains(&id)) => {
                Err(PathError::NotFound)
            }
            Body::Symlink(target) => self.follow(target),
            _ => {
                self.trail.push((id, self.length() + 1 + name.len()));
                Ok(())
            }
        }
    }

    fn follow(&mut self, target: &'a [u8]) -> Result<(), PathError> {
        self.symlinks += 1;
        if self.symlinks > SYMLINKS_MAX {
            return Err(PathError::TooManySymlinks);
        }
        if target.starts_with(b"/") {
            self.trail.clear();
        }
        self.ahead.extend(components(target).rev());
        Ok(())
    }

    fn missing(self, name: &[u8]) -> Result<Place, PathError> {
        let (directory, length) = (self.at(), self.length());
        let names: Vec<Box<[u8]>> =
            std::iter::once(name).chain(self.ahead.into_iter().rev()).map(Into::into).collect();
        match names.iter().all(|name| **name != *b"..") {
            true => Ok(Place { found: Found::Missing { directory, names }, length }),
            false => Err(PathError::DanglingSymlink),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(directories: &[&str], symlinks: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::new();
        for path in directories {
            tree.make_directories(path.as_bytes()).unwrap();
        }
        for (path, target) in symlinks {
            let (parent, name) = split(path.as_bytes());
            let parent = tree.make_directories(parent).unwrap();
            let link = Inode::new(0o777, Body::Symlink(target.as_bytes().into()));
            tree.insert(parent, name, link).unwrap();
        }
        tree
    }

    #[test]
    fn a_path_is_shown_on_one_line_of_a_bearable_length() {
        assert_eq!(display("etc/größe".as_bytes()), "etc/größe");
        assert_eq!(display(b"a\x1b\xff"), "a\\x1b\\xff");
        assert_eq!(display(&[b'n'; 255]).len(), 255);
        let long = [b"a".as_slice(), &[b'd'; 4000], b"z\n"].concat();
        let shown = format!("a{}…{}z\\n (4003 bytes)", "d".repeat(63), "d".repeat(62));
        assert_eq!(display(&long), shown);
    }

    #[test]
    fn symlinks_are_followed_inside_the_tree_only() {
        let links = [("lib", "usr/lib"), ("abs", "/usr"), ("up", "../../../usr"), ("usr/me", ".")];
        let tree = tree(&["usr/lib"], &links);
        let lib = tree.lookup("usr/lib").unwrap();
        for path in ["lib", "/lib/", "abs/lib", "up/lib", "usr/me/me/lib", "lib/../lib", "./lib"] {
            assert_eq!(tree.resolve(path), Ok(lib), "{path}");
        }
        assert_eq!(tree.lookup("abs/lib"), None);
    }

    #[test]
    fn loops_end() {
        let tree = tree(&[], &[("a", "b"), ("b", "a"), ("c", "c/c/c/c/c/c/c/c")]);
        assert_eq!(tree.resolve("a"), Err(PathError::TooManySymlinks));
        assert_eq!(tree.resolve("c"), Err(PathError::TooManySymlinks));
    }

    #[test]
    fn a_file_on_the_way_is_an_error() {
        let mut tree = Tree::new();
        tree.insert(tree.root(), b"f", Inode::new(0o644, Body::Fifo)).unwrap();
        for path in ["f/x", "f/..", "f/x/y"] {
            assert_eq!(tree.resolve(path), Err(PathError::NotADirectory), "{path}");
        }
        assert_eq!(tree.make_directories(b"f"), Err(PathError::NotADirectory));
    }

    #[test]
    fn missing_directories_are_made_where_a_symlink_points() {
        let mut tree = tree(&[], &[("var/run", "/run")]);
        tree.make_directories(b"var/run/lock").unwrap();
        assert!(tree.lookup("run/lock").is_some());
    }

    #[test]
    fn a_symlink_back_out_of_a_missing_directory_is_refused() {
        let mut tree = tree(&[], &[("a", "missing/../b")]);
        assert_eq!(tree.make_directories(b"a/x"), Err(PathError::DanglingSymlink));
    }

    #[test]
    fn no_detour_makes_a_directory_deeper_than_a_path_can_say() {
        let deep = "d/".repeat(2000);
        let mut tree = tree(&[&deep], &[("s", &deep)]);
        assert!(tree.make_directories(b"s/1234567").is_ok());
        assert_eq!(tree.make_directories(format!("s/{deep}").as_bytes()), Err(PathError::TooLong));
    }

    #[test]
    fn symlinks_that_are_left_out_lead_nowhere() {
        let tree = tree(&["usr/lib"], &[("lib", "usr/lib"), ("also", "usr")]);
        let without = HashSet::from([tree.lookup("lib").unwrap()]);
        assert_eq!(tree.resolve_without(b"lib", &without), Err(PathError::NotFound));
        assert_eq!(tree.resolve_without(b"also/lib", &without).ok(), tree.lookup("usr/lib"));
    }

    #[test]
    fn a_path_splits_at_its_last_slash() {
        assert_eq!(split(b"a/b/c"), (&b"a/b"[..], &b"c"[..]));
        assert_eq!(split(b"/c/"), (&b""[..], &b"c"[..]));
        assert_eq!(split(b"c"), (&b""[..], &b"c"[..]));
    }

    #[test]
    fn names_that_no_directory_can_hold() {
        let long = [b'a'; 256];
        for name in [&b""[..], b".", b"..", b"a/b", b"a\0b", &long] {
            assert_eq!(check_name(name), Err(PathError::BadName));
        }
        assert_eq!(check_name(&long[..255]), Ok(()));
    }
}
