//! A directory of the host as an image: what `stat` shows there is what the image gets, but that
//! what belongs to a caller who is not root becomes root's.

use std::collections::{BTreeMap, HashMap};
use std::ffi::CStr;
use std::fs::{self, DirEntry, File, Metadata};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{SeekFrom, lgetxattr, llistxattr, major, minor, seek};
use rustix::io::Errno;
use rustix::process::{getegid, geteuid};

use super::{Image, Options};
use crate::error::{Attempt, Error, Result};
use crate::progress::Phase;
use crate::spool::Spool;
use crate::tree::{
    Body, Content, Device, Directory, Extent, Inode, InodeId, PATH_MAX, Tree, Xattr, XattrsId,
};

/// `XATTR_LIST_MAX` and `XATTR_SIZE_MAX` of linux/limits.h.
const XATTR_MAX: usize = 65_536;

/// How much is copied at once.
const BUFFER: usize = 1 << 20;

/// Reads the directory whole. Symlinks are taken as they are; mounts below it are taken along.
pub(super) fn read(path: &Path, spool: &Spool, options: &Options<'_>) -> Result<Image> {
    options.progress.begin(Phase::Directory, None);
    let mut walk = Walk {
        root: path,
        caller: Caller::running(),
        spool,
        options,
        tree: Tree::new(),
        hardlinks: HashMap::new(),
        pending: Vec::new(),
        bytes: 0,
        buffer: vec![0; BUFFER],
    };
    walk.run()?;
    Ok(Image { tree: walk.tree, manifest: None, created: None, labels: BTreeMap::new() })
}

/// Who reads the directory. A caller who is not root cannot give files to root, so that its own
/// stand for root's: the same files then give the same image, whoever builds it.
#[derive(Clone, Copy)]
struct Caller {
    uid: u32,
    gid: u32,
}

impl Caller {
    fn running() -> Self {
        Self { uid: geteuid().as_raw(), gid: getegid().as_raw() }
    }

    /// The owner in the image of what `uid` owns here.
    fn owner(self, uid: u32) -> u32 {
        if uid == self.uid { 0 } else { uid }
    }

    /// The group in the image of what is the group `gid`'s here. To root, groups are as any owner.
    fn group(self, gid: u32) -> u32 {
        if self.uid != 0 && gid == self.gid { 0 } else { gid }
    }
}

struct Walk<'a> {
    root: &'a Path,
    caller: Caller,
    spool: &'a Spool,
    options: &'a Options<'a>,
    tree: Tree,
    /// Files with several names that were met, by device and inode.
    hardlinks: HashMap<(u64, u64), InodeId>,
    /// Directories still to read.
    pending: Vec<(PathBuf, InodeId)>,
    bytes: u64,
    buffer: Vec<u8>,
}

impl Walk<'_> {
    fn run(&mut self) -> Result<()> {
        let metadata = fs::metadata(self.root).attempt(|| action(self.root))?;
        if !metadata.is_dir() {
            return Err(Error::input(action(self.root), "not a directory"));
        }
        // With a slash at the end a symlink to the root is followed for its attributes too.
        let attributes = self.inode(&self.root.join(""), &metadata)?;
        self.tree.set_attributes(self.tree.root(), &attributes);
        self.pending.push((self.root.to_owned(), self.tree.root()));
        while let Some((path, id)) = self.pending.pop() {
            self.read_directory(&path, id)?;
        }
        Ok(())
    }

    fn read_directory(&mut self, path: &Path, id: InodeId) -> Result<()> {
        let entries = fs::read_dir(path).attempt(|| action(path))?;
        for entry in entries {
            let entry = entry.attempt(|| action(path))?;
            self.add(&entry, id)?;
        }
        Ok(())
    }

    fn add(&mut self, entry: &DirEntry, parent: InodeId) -> Result<()> {
        let (path, name) = (entry.path(), entry.file_name());
        let metadata = entry.metadata().attempt(|| action(&path))?;
        let key = (metadata.dev(), metadata.ino());
        if let Some(file) = self.hardlinks.get(&key) {
            let linked = self.tree.link(parent, name.as_bytes(), *file);
            return linked.map_err(|cause| Error::input(action(&path), cause));
        }
        let inode = self.inode(&path, &metadata)?;
        let id = self
            .tree
            .insert(parent, name.as_bytes(), inode)
            .map_err(|cause| Error::input(action(&path), cause))?;
        self.check_limits(&path)?;
        if metadata.is_dir() {
            self.pending.push((path, id));
        } else if metadata.nlink() > 1 {
            self.hardlinks.insert(key, id);
        }
        Ok(())
    }

    fn check_limits(&self, path: &Path) -> Result<()> {
        let limits = self.options.limits;
        let cause = if self.tree.files() as u64 > limits.entries {
            format!("more than {} files", limits.entries)
        } else if self.bytes > limits.bytes {
            format!("more than {} bytes", limits.bytes)
        } else if path.as_os_str().len() - self.root.as_os_str().len() > PATH_MAX {
            format!("its path is longer than {PATH_MAX} bytes")
        } else {
            return Ok(());
        };
        Err(Error::input(action(path), cause))
    }

    fn inode(&mut self, path: &Path, metadata: &Metadata) -> Result<Inode> {
        let body = self.body(path, metadata)?;
        let xattrs = self.xattrs(path).attempt(|| action(path))?;
        Ok(Inode {
            mode: (metadata.mode() & 0o7777) as u16,
            uid: self.caller.owner(metadata.uid()),
            gid: self.caller.group(metadata.gid()),
            mtime: metadata.mtime(),
            mtime_nanos: metadata.mtime_nsec() as u32,
            xattrs,
            body,
        })
    }

    fn body(&mut self, path: &Path, metadata: &Metadata) -> Result<Body> {
        let kind = metadata.file_type();
        let device = Device { major: major(metadata.rdev()), minor: minor(metadata.rdev()) };
        Ok(if kind.is_dir() {
            Body::Directory(Directory::default())
        } else if kind.is_file() {
            Body::File(self.copy(path)?)
        } else if kind.is_symlink() {
            let target = fs::read_link(path).attempt(|| action(path))?;
            Body::Symlink(target.into_os_string().into_vec().into())
        } else if kind.is_char_device() {
            Body::CharDevice(device)
        } else if kind.is_block_device() {
            Body::BlockDevice(device)
        } else if kind.is_fifo() {
            Body::Fifo
        } else {
            Body::Socket
        })
    }

    fn copy(&mut self, path: &Path) -> Result<Content> {
        let nofollow = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
        let file = fs::OpenOptions::new().read(true).custom_flags(nofollow).open(path);
        let file = file.attempt(|| action(path))?;
        let size = file.metadata().attempt(|| action(path))?.len();
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > self.options.limits.bytes {
            // `check_limits` says so.
            return Ok(Content::default());
        }
        let mut extents = Vec::new();
        let mut at = 0;
        while let Some((offset, length)) = next_run(&file, at, size).attempt(|| action(path))? {
            let spool = self.copy_run((&file, path), offset, length)?;
            extents.push(Extent { offset, length, spool });
            at = offset + length;
        }
        Ok(Content { size, extents: extents.into() })
    }

    fn copy_run(&mut self, (file, path): (&File, &Path), offset: u64, length: u64) -> Result<u64> {
        let spool = self.spool.reserve(length).attempt(|| self.spool.write_action())?;
        let mut done = 0;
        while done < length {
            let step = (length - done).min(BUFFER as u64);
            let piece = &mut self.buffer[..step as usize];
            file.read_exact_at(piece, offset + done).attempt(|| action(path))?;
            let written = self.spool.write_at(piece, spool + done);
            written.attempt(|| self.spool.write_action())?;
            self.options.progress.advance(step);
            done += step;
        }
        Ok(spool)
    }

    fn xattrs(&mut self, path: &Path) -> io::Result<XattrsId> {
        let names = match sized(|buffer| llistxattr(path, buffer)) {
            Err(Errno::OPNOTSUPP) => return Ok(XattrsId::NONE),
            other => other?,
        };
        let xattrs = names
            .split_inclusive(|byte| *byte == 0)
            .filter_map(|name| CStr::from_bytes_with_nul(name).ok())
            .map(|name| xattr(path, name))
            .collect::<io::Result<Vec<_>>>()?;
        Ok(self.tree.intern(xattrs))
    }
}

fn action(path: &Path) -> String {
    format!("read {}", path.display())
}

fn xattr(path: &Path, name: &CStr) -> io::Result<Xattr> {
    let value = sized(|buffer| lgetxattr(path, name, buffer))?;
    Ok(Xattr { name: name.to_bytes().into(), value: value.into() })
}

/// First most often there is nothing, or little: one call, a small buffer; else the largest that
/// there can be.
fn sized(call: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Vec<u8>> {
    let mut small = [0; 256];
    match call(&mut small) {
        Ok(length) => return Ok(small[..length].to_vec()),
        Err(Errno::RANGE) => {}
        Err(other) => return Err(other),
    }
    let mut large = vec![0; XATTR_MAX];
    let length = call(&mut large)?;
    large.truncate(length);
    Ok(large)
}

/// The next run of data from `at` on, as offset and length, if there is one before `size`.
fn next_run(file: &File, at: u64, size: u64) -> io::Result<Option<(u64, u64)>> {
    if at >= size {
        return Ok(None);
    }
    let start = match seek(file, SeekFrom::Data(at)) {
        Err(Errno::NXIO) => return Ok(None),
        other => other?,
    };
    if start >= size {
        return Ok(None);
    }
    let end = seek(file, SeekFrom::Hole(start))?.min(size);
    Ok(Some((start, end - start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_image(caller: Caller, [uid, gid]: [u32; 2]) -> [u32; 2] {
        [caller.owner(uid), caller.group(gid)]
    }

    #[test]
    fn what_is_the_callers_becomes_roots_owner_and_group_each_on_its_own() {
        let caller = Caller { uid: 1000, gid: 100 };
        for (here, there) in [
            ([1000, 100], [0, 0]),
            ([1000, 7], [0, 7]),
            ([7, 100], [7, 0]),
            ([100, 1000], [100, 1000]),
            ([0, 0], [0, 0]),
        ] {
            assert_eq!(in_image(caller, here), there);
        }
    }

    #[test]
    fn to_root_everything_is_as_it_is_here_whatever_roots_group() {
        let root = Caller { uid: 0, gid: 100 };
        assert_eq!(in_image(root, [1000, 100]), [1000, 100]);
    }
}
