//! A layer of a container image, written as a tar archive (OCI image-spec, layer.md).

use anyhow::Result;
use tar::{Builder, EntryType, Header};

/// When every file was made, in seconds: 2024-01-01, so that a layer is a function of what is put into it.
const MTIME: u64 = 1_704_067_200;

/// A layer that entries are added to. Paths are relative to the root, as in `usr/bin`.
pub(crate) struct Layer {
    tar: Builder<Vec<u8>>,
}

impl Default for Layer {
    fn default() -> Layer {
        Layer { tar: Builder::new(Vec::new()) }
    }
}

impl Layer {
    /// A directory.
    pub(crate) fn directory(&mut self, path: &str, mode: u32) -> Result<()> {
        self.add(path, &mut header(EntryType::Directory, mode), b"")
    }

    /// A regular file.
    pub(crate) fn file(&mut self, path: &str, mode: u32, data: &[u8]) -> Result<()> {
        self.add(path, &mut header(EntryType::Regular, mode), data)
    }

    /// A regular file with an extended attribute.
    pub(crate) fn file_with_xattr(&mut self, path: &str, name: &str, value: &[u8]) -> Result<()> {
        let key = format!("SCHILY.xattr.{name}");
        self.tar.append_pax_extensions([(key.as_str(), value)])?;
        self.file(path, 0o755, path.as_bytes())
    }

    /// A regular file of another owner.
    pub(crate) fn file_of(&mut self, path: &str, uid: u64, gid: u64) -> Result<()> {
        let mut header = header(EntryType::Regular, 0o4711);
        header.set_uid(uid);
        header.set_gid(gid);
        self.add(path, &mut header, path.as_bytes())
    }

    /// A symlink.
    pub(crate) fn symlink(&mut self, path: &str, target: &str) -> Result<()> {
        Ok(self.tar.append_link(&mut header(EntryType::Symlink, 0o777), path, target)?)
    }

    /// Another name for a file of this layer or one below.
    pub(crate) fn hard_link(&mut self, path: &str, target: &str) -> Result<()> {
        Ok(self.tar.append_link(&mut header(EntryType::Link, 0o644), path, target)?)
    }

    /// A named pipe.
    pub(crate) fn fifo(&mut self, path: &str) -> Result<()> {
        self.add(path, &mut header(EntryType::Fifo, 0o620), b"")
    }

    /// A character device.
    pub(crate) fn char_device(&mut self, path: &str, major: u32, minor: u32) -> Result<()> {
        self.device(path, header(EntryType::Char, 0o666), (major, minor))
    }

    /// A block device.
    pub(crate) fn block_device(&mut self, path: &str, major: u32, minor: u32) -> Result<()> {
        self.device(path, header(EntryType::Block, 0o660), (major, minor))
    }

    /// Deletes what a layer below has at `directory/name`.
    pub(crate) fn whiteout(&mut self, directory: &str, name: &str) -> Result<()> {
        self.file(&format!("{directory}/.wh.{name}"), 0o644, b"")
    }

    /// Deletes what layers below have in the directory.
    pub(crate) fn opaque(&mut self, directory: &str) -> Result<()> {
        self.file(&format!("{directory}/.wh..wh..opq"), 0o644, b"")
    }

    /// The tar archive.
    pub(crate) fn finish(self) -> Result<Vec<u8>> {
        Ok(self.tar.into_inner()?)
    }

    fn device(&mut self, path: &str, mut header: Header, number: (u32, u32)) -> Result<()> {
        header.set_device_major(number.0)?;
        header.set_device_minor(number.1)?;
        self.add(path, &mut header, b"")
    }

    fn add(&mut self, path: &str, header: &mut Header, data: &[u8]) -> Result<()> {
        header.set_size(u64::try_from(data.len())?);
        Ok(self.tar.append_data(header, path, data)?)
    }
}

fn header(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(MTIME);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    header
}
