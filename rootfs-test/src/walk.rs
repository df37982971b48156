//! A file tree as a list of facts, so that two of them can be compared on either side of the machine's border.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The largest xattr that Linux allows (XATTR_SIZE_MAX), and so the largest list.
const XATTR_MAX: usize = 65536;

/// What can be observed of one file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Node {
    /// Path bytes below the root of the walk; empty for the root.
    pub path: Vec<u8>,
    /// Type and permissions, as `st_mode` has them.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size in bytes of a regular file or a symlink, else 0: a directory's size is its file system's affair.
    pub size: u64,
    /// Modification time: seconds and nanoseconds.
    pub mtime: (i64, i64),
    /// Number of hard links; 0 for directories, where file systems differ.
    pub links: u64,
    /// The device number of a device, else 0.
    pub device: u64,
    /// Extended attributes by name.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// What it holds.
    pub content: Content,
}

/// What a file holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Content {
    /// Nothing to read here.
    None,
    /// SHA-256 of a regular file's bytes.
    Hash([u8; 32]),
    /// A symlink's target.
    Target(Vec<u8>),
}

/// One line, for people who compare two of them.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Node { mode, uid, gid, size, mtime, links, device, .. } = self;
        let path = self.path.escape_ascii();
        write!(f, "/{path} {mode:o} {uid}:{gid} size {size} mtime {}.{}", mtime.0, mtime.1)?;
        write!(f, " links {links} device {device:x}")?;
        for (name, value) in &self.xattrs {
            write!(f, " {}={}", name.escape_ascii(), value.escape_ascii())?;
        }
        match &self.content {
            Content::None => Ok(()),
            Content::Target(target) => write!(f, " -> {}", target.escape_ascii()),
            Content::Hash(hash) => write!(f, " sha256 {}", hex(hash)),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every file below `root` on the same file system, the root itself first, in order of path bytes.
///
/// # Errors
/// When anything cannot be read; the error names it.
pub fn walk(root: &Path) -> Result<Vec<Node>> {
    let device = fs::symlink_metadata(root).with_context(|| failed("stat", root))?.dev();
    let mut nodes = Vec::new();
    let mut ahead = vec![root.to_owned()];
    while let Some(path) = ahead.pop() {
        let metadata = fs::symlink_metadata(&path).with_context(|| failed("stat", &path))?;
        nodes.push(observe(root, &path, &metadata).with_context(|| failed("read", &path))?);
        if metadata.is_dir() && metadata.dev() == device {
            ahead.extend(children(&path).with_context(|| failed("list", &path))?);
        }
    }
    nodes.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(nodes)
}

fn failed(verb: &str, path: &Path) -> String {
    format!("cannot {verb} {}", path.display())
}

fn children(path: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect()
}

fn observe(root: &Path, path: &Path, metadata: &Metadata) -> Result<Node> {
    let kind = metadata.file_type();
    let sized = kind.is_file() || kind.is_symlink();
    let device = kind.is_char_device() || kind.is_block_device();
    Ok(Node {
        path: path.strip_prefix(root)?.as_os_str().as_bytes().to_owned(),
        mode: metadata.mode(),
        uid: metadata.uid(),
        gid: metadata.gid(),
        size: if sized { metadata.size() } else { 0 },
        mtime: (metadata.mtime(), metadata.mtime_nsec()),
        links: if kind.is_dir() { 0 } else { metadata.nlink() },
        device: if device { metadata.rdev() } else { 0 },
        xattrs: xattrs(path)?,
        content: content(path, metadata)?,
    })
}

fn content(path: &Path, metadata: &Metadata) -> io::Result<Content> {
    if metadata.is_file() {
        return Ok(Content::Hash(hash(File::open(path)?)?));
    }
    if metadata.is_symlink() {
        return Ok(Content::Target(fs::read_link(path)?.into_os_string().into_vec()));
    }
    Ok(Content::None)
}

fn hash(mut file: File) -> io::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 17];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finalize().into()),
            count => hasher.update(buffer.get(..count).unwrap_or_default()),
        }
    }
}

fn xattrs(path: &Path) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut list = vec![0; XATTR_MAX];
    let length = rustix::fs::llistxattr(path, &mut list[..])?;
    let names = list.get(..length).unwrap_or_default().split(|byte| *byte == 0);
    let mut xattrs = names
        .filter(|name| !name.is_empty())
        .map(|name| Ok((name.to_owned(), xattr(path, name)?)))
        .collect::<io::Result<Vec<_>>>()?;
    xattrs.sort();
    Ok(xattrs)
}

fn xattr(path: &Path, name: &[u8]) -> io::Result<Vec<u8>> {
    let mut value = vec![0; XATTR_MAX];
    let length = rustix::fs::lgetxattr(path, OsStr::from_bytes(name), &mut value[..])?;
    value.truncate(length);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_walk_tells_what_a_tree_holds() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("b")).unwrap();
        fs::write(folder.path().join("b/file"), "abc").unwrap();
        fs::hard_link(folder.path().join("b/file"), folder.path().join("b/twin")).unwrap();
        symlink("b/file", folder.path().join("a")).unwrap();
        let nodes = walk(folder.path()).unwrap();
        let paths =
            nodes.iter().map(|node| String::from_utf8_lossy(&node.path)).collect::<Vec<_>>();
        assert_eq!(paths, ["", "a", "b", "b/file", "b/twin"]);
        assert_eq!(nodes[1].content, Content::Target(b"b/file".to_vec()));
        assert_eq!((nodes[3].size, nodes[3].links), (3, 2));
        assert_eq!(nodes[3].content, Content::Hash(Sha256::digest("abc").into()));
        assert!(nodes[1].to_string().starts_with("/a 120777 "), "{}", nodes[1]);
        assert!(nodes[1].to_string().ends_with(" -> b/file"), "{}", nodes[1]);
    }
}
