//! An initramfs archive: "newc" cpio, of which equal content gives equal bytes.
//!
//! Source: the kernel's Documentation/driver-api/early-userspace/buffer-format.rst. Owner, group
//! and times are 0, entries stand in path order, and inode numbers count up from 1, so that nothing
//! of the host shows.

use std::collections::BTreeMap;
use std::io::{self, Write};

use cpio::newc::{self, ModeFileType};

use crate::tree::Device;
use crate::{Error, Result};

/// More than a small machine can unpack; it also keeps sizes within the format's 32 bits.
const MAX_SIZE: usize = 512 << 20;
/// The kernel's `PATH_MAX` without the NUL; init/initramfs.c skips longer names.
const MAX_PATH: usize = 4095;

/// Files and directories of an initramfs. Holding one tells that every entry's parents are in it.
#[derive(Default)]
pub struct Archive {
    entries: BTreeMap<String, Entry>,
    size: usize,
}

struct Entry {
    permissions: u32,
    body: Body,
}

const DIRECTORY: Entry = Entry { permissions: 0o755, body: Body::Directory };

enum Body {
    Directory,
    File(Vec<u8>),
    CharDevice(Device),
}

impl Archive {
    /// Adds a regular file; `path` is relative to the root, such as `sbin/e2fsck`.
    pub fn add_file(&mut self, path: &str, permissions: u32, data: Vec<u8>) -> Result<()> {
        self.size = self.size.saturating_add(data.len());
        if self.size > MAX_SIZE {
            return Err(refuse(path, format!("the archive would exceed {} MiB", MAX_SIZE >> 20)));
        }
        self.add(path, Entry { permissions, body: Body::File(data) })
    }

    /// Adds an empty directory, readable by all.
    pub fn add_directory(&mut self, path: &str) -> Result<()> {
        self.add(path, DIRECTORY)
    }

    /// Adds a character device.
    pub fn add_char_device(&mut self, path: &str, permissions: u32, device: Device) -> Result<()> {
        self.add(path, Entry { permissions, body: Body::CharDevice(device) })
    }

    /// The archive's bytes in pieces that follow each other: one for each entry, by path, and the
    /// trailer.
    pub fn pieces(&self) -> io::Result<Vec<(&str, Vec<u8>)>> {
        let entries = (1..).zip(&self.entries);
        let mut pieces: Vec<_> = entries
            .map(|(inode, (path, entry))| {
                Ok((path.as_str(), entry.encode(newc::Builder::new(path).ino(inode))?))
            })
            .collect::<io::Result<_>>()?;
        pieces.push(("", newc::trailer(Vec::new())?));
        Ok(pieces)
    }

    fn add(&mut self, path: &str, entry: Entry) -> Result<()> {
        check_path(path)?;
        self.add_parents(path)?;
        match self.entries.get(path) {
            Some(old) if old.is_directory() && entry.is_directory() => Ok(()),
            Some(_) => Err(refuse(path, "it is in the archive already")),
            None => {
                self.entries.insert(path.to_owned(), entry);
                Ok(())
            }
        }
    }

    fn add_parents(&mut self, path: &str) -> Result<()> {
        for (end, _) in path.match_indices('/') {
            let parent = self.entries.entry(path[..end].to_owned()).or_insert(DIRECTORY);
            if !parent.is_directory() {
                return Err(refuse(path, format!("{} is not a directory", &path[..end])));
            }
        }
        Ok(())
    }
}

impl Entry {
    fn is_directory(&self) -> bool {
        matches!(self.body, Body::Directory)
    }

    fn encode(&self, header: newc::Builder) -> io::Result<Vec<u8>> {
        let size = u32::try_from(self.data().len()).map_err(io::Error::other)?;
        let mut file = self.describe(header).write(Vec::new(), size);
        file.write_all(self.data())?;
        file.finish()
    }

    fn describe(&self, header: newc::Builder) -> newc::Builder {
        let header = header.mode(self.permissions);
        match &self.body {
            Body::Directory => header.set_mode_file_type(ModeFileType::Directory).nlink(2),
            Body::File(_) => header.set_mode_file_type(ModeFileType::Regular),
            Body::CharDevice(Device { major, minor }) => {
                let header = header.set_mode_file_type(ModeFileType::Char);
                header.rdev_major(*major).rdev_minor(*minor)
            }
        }
    }

    fn data(&self) -> &[u8] {
        match &self.body {
            Body::File(data) => data,
            Body::Directory | Body::CharDevice(_) => &[],
        }
    }
}

fn check_path(path: &str) -> Result<()> {
    if path.len() > MAX_PATH {
        return Err(refuse(path, format!("its path is longer than {MAX_PATH} bytes")));
    }
    let bad = |name: &str| matches!(name, "" | "." | "..") || name.contains('\0');
    match path.split('/').any(bad) {
        true => Err(refuse(path, "its path is not a plain relative one")),
        false => Ok(()),
    }
}

fn refuse(path: &str, cause: impl Into<String>) -> Error {
    Error::input(format!("add {path} to the initramfs"), cause.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    const CONSOLE: Device = Device { major: 5, minor: 1 };

    fn sample() -> Archive {
        let mut archive = Archive::default();
        archive.add_file("sbin/e2fsck", 0o755, b"elf".to_vec()).unwrap();
        archive.add_char_device("dev/console", 0o600, CONSOLE).unwrap();
        archive.add_directory("sbin").unwrap();
        archive.add_file("init", 0o755, b"init!".to_vec()).unwrap();
        archive
    }

    fn bytes(archive: &Archive) -> Vec<u8> {
        archive.pieces().unwrap().into_iter().flat_map(|(_, bytes)| bytes).collect()
    }

    fn list(archive: &[u8]) -> String {
        let mut cpio = Command::new("cpio");
        cpio.args(["-tv", "--quiet", "--numeric-uid-gid"]).env("TZ", "UTC");
        let mut cpio = cpio.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        cpio.stdin.take().unwrap().write_all(archive).unwrap();
        let output = cpio.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn cpio_lists_it_in_path_order_with_nothing_of_the_host() {
        let expected = "\
drwxr-xr-x   2 0        0               0 Jan  1  1970 dev
crw-------   1 0        0          5,   1 Jan  1  1970 dev/console
-rwxr-xr-x   1 0        0               5 Jan  1  1970 init
drwxr-xr-x   2 0        0               0 Jan  1  1970 sbin
-rwxr-xr-x   1 0        0               3 Jan  1  1970 sbin/e2fsck
";
        assert_eq!(list(&bytes(&sample())), expected);
    }

    #[test]
    fn the_order_of_adding_does_not_show() {
        let mut other = Archive::default();
        other.add_file("init", 0o755, b"init!".to_vec()).unwrap();
        other.add_file("sbin/e2fsck", 0o755, b"elf".to_vec()).unwrap();
        other.add_char_device("dev/console", 0o600, CONSOLE).unwrap();
        assert_eq!(bytes(&sample()), bytes(&other));
    }

    #[test]
    fn inode_numbers_differ() {
        let archive = bytes(&sample());
        let mut rest = archive.as_slice();
        let mut inodes = Vec::new();
        loop {
            let entry = newc::Reader::new(rest).unwrap();
            if entry.entry().is_trailer() {
                break;
            }
            inodes.push(entry.entry().ino());
            rest = entry.finish().unwrap();
        }
        assert_eq!(inodes, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn paths_that_leave_the_root_or_clash_are_refused() {
        let long = "a/".repeat(2048) + "b";
        for path in ["", "/init", "a//b", "a/../b", ".", "a/", "nul\0", &long, "init/below", "init"]
        {
            let refused = sample().add_file(path, 0o644, Vec::new());
            assert!(refused.is_err(), "{path:?} was taken");
        }
        assert!(sample().add_directory("init").is_err());
    }

    #[test]
    fn an_archive_has_a_largest_size() {
        let mut archive = Archive { size: MAX_SIZE - 1, ..Archive::default() };
        archive.add_file("a", 0o644, vec![0]).unwrap();
        assert!(archive.add_file("b", 0o644, vec![0]).is_err());
    }
}
