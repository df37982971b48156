//! Everything in an image.

use super::{Entries, Entry, Error, Image, Inode, Nid, ReadAt};
use crate::erofs::format::{FileType, PATH_MAX};
use std::collections::HashSet;

/// Something found on a walk.
#[derive(Clone, Debug)]
pub struct Found {
    /// Absolute, `/` for the root.
    pub path: Vec<u8>,
    /// What is there. The same inode is found once for each of its names.
    pub inode: Inode,
}

/// Walks an image in order of path components. Ends after the first error.
///
/// It ends on any bytes: a directory is entered once, and the directories together may not be
/// longer than the image.
pub struct Walk<'a, S> {
    image: &'a Image<S>,
    levels: Vec<Level<'a, S>>,
    path: Vec<u8>,
    entered: HashSet<Nid>,
    directory_bytes: u64,
    root_is_next: bool,
}

struct Level<'a, S> {
    entries: Entries<'a, S>,
    path_length: usize,
}

impl<'a, S: ReadAt> Walk<'a, S> {
    pub(super) fn new(image: &'a Image<S>) -> Self {
        Self {
            image,
            levels: Vec::new(),
            path: Vec::new(),
            entered: HashSet::new(),
            directory_bytes: 0,
            root_is_next: true,
        }
    }

    fn step(&mut self) -> Result<Option<Found>, Error> {
        if std::mem::take(&mut self.root_is_next) {
            return self.root().map(Some);
        }
        while let Some(level) = self.levels.last_mut() {
            self.path.truncate(level.path_length);
            match level.entries.next().transpose()? {
                Some(entry) if matches!(&*entry.name, b"." | b"..") => {}
                Some(entry) => return self.visit(&entry).map(Some),
                None => drop(self.levels.pop()),
            }
        }
        Ok(None)
    }

    fn root(&mut self) -> Result<Found, Error> {
        let inode = self.image.inode(self.image.root())?;
        self.enter(&inode)?;
        Ok(Found { path: b"/".to_vec(), inode })
    }

    fn visit(&mut self, entry: &Entry) -> Result<Found, Error> {
        let inode = self.image.inode(entry.nid)?;
        self.path.push(b'/');
        self.path.extend_from_slice(&entry.name);
        if self.path.len() > PATH_MAX {
            return Err(Error::Corrupt {
                nid: entry.nid,
                what: "has a path of 4096 bytes or more",
            });
        }
        if inode.file_type as u8 != entry.file_type {
            return Err(Error::Corrupt { nid: entry.nid, what: "is listed as another type" });
        }
        if inode.file_type == FileType::Directory {
            self.enter(&inode)?;
        }
        Ok(Found { path: self.path.clone(), inode })
    }

    fn enter(&mut self, directory: &Inode) -> Result<(), Error> {
        let corrupt = |what| Err(Error::Corrupt { nid: directory.nid, what });
        if !self.entered.insert(directory.nid) {
            return corrupt("is a directory with two names");
        }
        self.directory_bytes += directory.size;
        if self.directory_bytes > self.image.length() {
            return corrupt("is a directory that shares its blocks with others");
        }
        let entries = self.image.entries(directory)?;
        self.levels.push(Level { entries, path_length: self.path.len() });
        Ok(())
    }
}

impl<S: ReadAt> Iterator for Walk<'_, S> {
    type Item = Result<Found, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.levels.clear();
        }
        step.transpose()
    }
}
