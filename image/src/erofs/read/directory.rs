//! A directory's entries.

use super::{Error, Image, Inode, Nid, ReadAt};
use crate::erofs::format::{BLOCK, DIRENT, Dirent, FileType, NAME_MAX};
use std::collections::VecDeque;
use zerocopy::FromBytes;

/// A name in a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// 1 to 255 bytes without slash and NUL; `.` and `..` are entries like others.
    pub name: Vec<u8>,
    /// The inode that it names, not looked at yet.
    pub nid: Nid,
    /// What the directory says it is, a [`FileType`] or nonsense.
    pub file_type: u8,
}

/// A directory's entries, a block of them in memory at a time. Ends after the first error.
pub struct Entries<'a, S> {
    image: &'a Image<S>,
    directory: Inode,
    next_block: u64,
    block: VecDeque<Entry>,
    last_name: Vec<u8>,
}

impl<S: ReadAt> Image<S> {
    /// The entries of `directory` by name.
    pub fn entries(&self, directory: &Inode) -> Result<Entries<'_, S>, Error> {
        if directory.file_type != FileType::Directory {
            return Err(Error::Corrupt { nid: directory.nid, what: "is not a directory" });
        }
        Ok(Entries {
            image: self,
            directory: directory.clone(),
            next_block: 0,
            block: VecDeque::new(),
            last_name: Vec::new(),
        })
    }
}

impl<S: ReadAt> Entries<'_, S> {
    fn read_block(&mut self) -> Result<(), Error> {
        let mut block = [0; BLOCK as usize];
        let offset = self.next_block * BLOCK;
        let length = self.image.read_at(&self.directory, offset, &mut block)?;
        self.next_block += 1;
        let entries = parse(&block[..length]).map_err(|what| self.corrupt(what))?;
        self.block.extend(entries);
        Ok(())
    }

    /// Linux looks names up by bisection, so that an entry out of order could be listed and yet not
    /// found.
    fn check_order(&mut self, entry: &Entry) -> Result<(), Error> {
        if entry.name <= self.last_name {
            return Err(self.corrupt("has entries out of order"));
        }
        self.last_name.clone_from(&entry.name);
        Ok(())
    }

    fn corrupt(&self, what: &'static str) -> Error {
        Error::Corrupt { nid: self.directory.nid, what }
    }

    fn end(&mut self) {
        self.block.clear();
        self.next_block = u64::MAX / BLOCK;
    }
}

impl<S: ReadAt> Iterator for Entries<'_, S> {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.block.is_empty() {
            if self.next_block * BLOCK >= self.directory.size {
                return None;
            }
            if let Err(error) = self.read_block() {
                self.end();
                return Some(Err(error));
            }
        }
        let entry = self.block.pop_front()?;
        let checked = self.check_order(&entry);
        if checked.is_err() {
            self.end();
        }
        Some(checked.map(|()| entry))
    }
}

/// The entries of one block: dirents first, as many as end where the first name begins.
fn parse(block: &[u8]) -> Result<Vec<Entry>, &'static str> {
    let (first, _) = Dirent::ref_from_prefix(block).map_err(|_| "has a block without entries")?;
    let names_at = usize::from(first.name_offset.get());
    if names_at == 0 || !names_at.is_multiple_of(DIRENT) || names_at > block.len() {
        return Err("has a block whose names begin nowhere");
    }
    let dirents = <[Dirent]>::ref_from_bytes(&block[..names_at])
        .map_err(|_| "has a block whose names begin nowhere")?;
    let ends = dirents[1..].iter().map(|next| Some(next.name_offset.get().into()));
    dirents.iter().zip(ends.chain([None])).map(|(dirent, end)| entry(block, dirent, end)).collect()
}

fn entry(block: &[u8], dirent: &Dirent, end: Option<usize>) -> Result<Entry, &'static str> {
    let start = usize::from(dirent.name_offset.get());
    let name = match end {
        Some(end) => block.get(start..end),
        None => block.get(start..).map(until_nul),
    };
    let name = name.ok_or("has a name outside its block")?;
    if name.is_empty() || name.len() > NAME_MAX || name.iter().any(|b| matches!(b, 0 | b'/')) {
        return Err("has an impossible name in it");
    }
    Ok(Entry { name: name.to_vec(), nid: Nid(dirent.nid.get()), file_type: dirent.file_type })
}

/// The last name of a block ends where the block ends or where zeros begin.
fn until_nul(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| *byte == 0);
    &bytes[..end.unwrap_or(bytes.len())]
}
