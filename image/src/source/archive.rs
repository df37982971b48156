//! A tar whose members are read where they stand, without unpacking it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Attempt, Error, Result};
use crate::layer::tar::{Entries, Entry, Kind};
use crate::layer::{Blob, Fault, Input, Located, Subject, symlink_target};
use crate::tree::{Body, Content, Directory, Inode, PathError, Tree, split};

/// Several times the blobs that an archive of all images of a distribution has.
const MEMBERS_MAX: usize = 100_000;

/// Headers are read in pieces of this size.
const BUFFER: usize = 64 << 10;

/// An archive's members by path. It is a [`Tree`] whose file data is not in a spool, but in the
/// archive itself; so the symlinks of old docker archives lead where they should.
pub(super) struct Archive {
    path: PathBuf,
    file: Arc<File>,
    members: Tree,
}

impl Archive {
    /// Reads where everything is.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let action = || format!("read archive {}", path.display());
        let file = File::open(path).attempt(action)?;
        let whole = Blob::whole(file).attempt(action)?;
        check_plain(&whole.head(4).attempt(action)?).map_err(|why| Error::input(action(), why))?;
        let members = list(&whole).map_err(|cause| Error::input(action(), cause))?;
        Ok(Self { path: path.to_owned(), file: whole.file, members })
    }

    /// Refuses an archive of the `other` kind, which has its `mark` and not `ours`.
    pub(super) fn check_kind(&self, ours: &str, mark: &str, other: &str) -> Result<()> {
        let has = |name| self.members.resolve(name).is_ok();
        if has(ours) || !has(mark) {
            return Ok(());
        }
        let file = self.path.display();
        let cause = format!("it has {mark}, but no {ours}; call it {other}:{file}");
        Err(Error::input(format!("read archive {file}"), cause))
    }

    /// Where a member's bytes are.
    pub(super) fn member(&self, name: &str) -> Result<Blob> {
        let wrong =
            |cause| Error::input(format!("read {name} in archive {}", self.path.display()), cause);
        let id = self.members.resolve(name).map_err(wrong)?;
        match &self.members.inode(id).body {
            Body::File(Content { size, extents }) => {
                let offset = extents.first().map_or(0, |extent| extent.spool);
                Ok(Blob { file: self.file.clone(), offset, length: *size })
            }
            _ => Err(wrong(PathError::IsADirectory)),
        }
    }
}

fn check_plain(head: &[u8]) -> Result<(), &'static str> {
    match head {
        [0x1f, 0x8b, ..] => Err("it is compressed: decompress it with gzip -d first"),
        [0x28, 0xb5, 0x2f, 0xfd] => Err("it is compressed: decompress it with zstd -d first"),
        _ => Ok(()),
    }
}

fn list(blob: &Blob) -> Result<Tree, Located> {
    let mut members = Tree::new();
    let mut entries = Entries::new(Headers::new(blob));
    while let Some(entry) = entries.next_entry()? {
        let offset = entries.position();
        add(&mut members, &entry, offset).map_err(|fault| entries.located(fault))?;
    }
    Ok(members)
}

fn add(members: &mut Tree, entry: &Entry, offset: u64) -> Result<(), Fault> {
    let path = match Subject::parse(&entry.path)? {
        Subject::Root => return Ok(()),
        Subject::Path(path) => path,
        _ => return Err(Fault::Whiteout("in an archive that is no layer")),
    };
    let body = match &entry.kind {
        Kind::Directory => Body::Directory(Directory::default()),
        Kind::Symlink(target) => Body::Symlink(symlink_target(target)?.into()),
        Kind::File(map) if map.holes() == 0 => Body::File(Content::whole(offset, map.size)),
        Kind::File(_) => return Err(Fault::Sparse("in an archive that is no layer")),
        Kind::Hardlink(target) => return link(members, path, target),
        _ => return Err(Fault::Name("is a device's or a pipe's")),
    };
    if members.files() > MEMBERS_MAX {
        return Err(Fault::Limit { what: "members", limit: MEMBERS_MAX as u64 });
    }
    put(members, path, Inode::new(0o755, body))
}

/// tar writes a file of several names once.
fn link(members: &mut Tree, path: &[u8], target: &[u8]) -> Result<(), Fault> {
    let hardlink = |cause| Fault::Hardlink { target: target.into(), cause };
    let file = members.resolve(target).map_err(hardlink)?;
    let (parent, name) = split(path);
    let parent = members.make_directories(parent)?;
    members.link(parent, name, file).map_err(hardlink)
}

/// Directories may come again, and after what is in them.
fn put(members: &mut Tree, path: &[u8], inode: Inode) -> Result<(), Fault> {
    let (parent, name) = split(path);
    if inode.is_directory() {
        members.make_directories(path)?;
        return Ok(());
    }
    let parent = members.make_directories(parent)?;
    members.insert(parent, name, inode)?;
    Ok(())
}

/// Reads an archive's headers and passes over its data without reading it.
struct Headers<'b> {
    blob: &'b Blob,
    /// Where in the blob `buffer` comes from.
    at: u64,
    buffer: Vec<u8>,
    start: usize,
}

impl<'b> Headers<'b> {
    fn new(blob: &'b Blob) -> Self {
        Self { blob, at: 0, buffer: Vec::new(), start: 0 }
    }

    fn position(&self) -> u64 {
        self.at + self.start as u64
    }
}

impl Input for Headers<'_> {
    fn fill(&mut self) -> Result<&[u8], Fault> {
        if self.start == self.buffer.len() {
            self.at = self.position();
            let left = self.blob.length - self.at;
            self.buffer.resize(left.min(BUFFER as u64) as usize, 0);
            self.start = 0;
            let read = self.blob.file.read_exact_at(&mut self.buffer, self.blob.offset + self.at);
            read.map_err(|source| Fault::Host { action: "read the archive", source })?;
        }
        Ok(&self.buffer[self.start..])
    }

    fn consume(&mut self, count: usize) {
        self.start += count;
    }

    fn skip(&mut self, count: u64) -> Result<u64, Fault> {
        let count = count.min(self.blob.length - self.position());
        if count <= (self.buffer.len() - self.start) as u64 {
            self.start += count as usize;
        } else {
            self.at = self.position() + count;
            self.buffer.clear();
            self.start = 0;
        }
        Ok(count)
    }
}
