//! Tar as layers use it, read exactly: what two readers could understand in two ways is an error.
//!
//! The formats are ustar, PAX and GNU tar's. Why not a crate: docs/adr/0003-own-tar-reader.md.

mod header;
mod number;
mod pax;
mod sparse;

pub use sparse::{Map, Run};

use super::{Fault, Input, Located};
use crate::tree::{Device, PATH_MAX, Xattr};
use header::{BLOCK, Header};
use pax::Records;
use sparse::{Layout, Old};

/// Room for every extended attribute that a file can have in practice; Go's archive/tar has the
/// same limit.
const PAX_MAX: u64 = 1 << 20;

/// A longer name could not be used anyway.
const LONG_NAME_MAX: u64 = PATH_MAX as u64 + 1;

/// Linux's `loff_t` is signed; the block is for the padding.
const SIZE_MAX: u64 = i64::MAX as u64 - BLOCK as u64;

/// (uid_t) -1 means "do not change" to chown, and is nobody's.
const ID_MAX: u64 = u32::MAX as u64 - 1;

/// MINORBITS of linux/kdev_t.h is 20, which leaves 12 for the major number.
const MAJOR_MAX: u32 = (1 << 12) - 1;
const MINOR_MAX: u32 = (1 << 20) - 1;

/// One entry with all that its headers say. Its names are as they stand in the archive: nothing is
/// checked yet, except that there is no NUL in them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Where its first header is, in bytes from the start of the archive.
    pub at: u64,
    /// Its path.
    pub path: Vec<u8>,
    /// Permissions, within `0o7777`.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of last modification, in seconds, rounded down.
    pub mtime: i64,
    /// Nanoseconds after that.
    pub mtime_nanos: u32,
    /// Extended attributes as they come.
    pub xattrs: Vec<Xattr>,
    /// Type, and what that type has.
    pub kind: Kind,
}

/// What an entry is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A regular file; [`Entries::read_data`] gives the bytes of its runs.
    File(Map),
    /// One more name for this path.
    Hardlink(Vec<u8>),
    /// A symbolic link to this path.
    Symlink(Vec<u8>),
    /// A character device.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
}

/// The entries of an archive, in their order.
#[derive(Debug)]
pub struct Entries<I> {
    input: Counted<I>,
    /// Data of the current entry that nobody has read yet, and what pads it to a block.
    data: u64,
    padding: u64,
    /// The current entry, for messages.
    at: u64,
    name: Option<Box<[u8]>>,
}

impl<I: Input> Entries<I> {
    /// From the archive's first byte on.
    pub fn new(input: I) -> Self {
        let input = Counted { input, position: 0 };
        Self { input, data: 0, padding: 0, at: 0, name: None }
    }

    /// The next entry; `None` at the end of the archive, be it a block of zeros or the end of the
    /// bytes.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, Located> {
        self.finish_entry().and_then(|()| self.read_entry()).map_err(|fault| self.located(fault))
    }

    /// Hands the current entry's data to `sink`, piece by piece.
    pub fn read_data(
        &mut self,
        mut sink: impl FnMut(&[u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        while self.data > 0 {
            let bytes = self.input.fill()?;
            let step = (bytes.len() as u64).min(self.data);
            if step == 0 {
                return Err(Fault::Truncated("an entry's data"));
            }
            sink(&bytes[..step as usize])?;
            self.input.consume(step as usize);
            self.data -= step;
        }
        Ok(())
    }

    /// Where the next byte of data is, in bytes from the start of the archive.
    pub fn position(&self) -> u64 {
        self.input.position
    }

    /// Says where `fault` is: in the current entry.
    pub fn located(&self, fault: Fault) -> Located {
        Located { at: Some(self.at), entry: self.name.clone(), fault }
    }

    /// What is left behind the archive's end.
    pub fn into_rest(self) -> I {
        self.input.input
    }

    fn finish_entry(&mut self) -> Result<(), Fault> {
        let rest = self.data + self.padding;
        if self.input.skip(rest)? < rest {
            return Err(Fault::Truncated("an entry's data"));
        }
        (self.data, self.padding) = (0, 0);
        (self.at, self.name) = (self.input.position, None);
        Ok(())
    }

    fn read_entry(&mut self) -> Result<Option<Entry>, Fault> {
        let mut described = Described::default();
        loop {
            let Some(header) = self.read_header()? else {
                return described.none_follows().map(|()| None);
            };
            match header.kind() {
                b'L' => self.take_long(&header, &mut described.name, "a long name")?,
                b'K' => self.take_long(&header, &mut described.link, "a long link target")?,
                b'x' => self.take_pax(&header, &mut described)?,
                b'g' => self.check_global(&header)?,
                _ => return self.read_body(&header, described).map(Some),
            }
        }
    }

    fn read_header(&mut self) -> Result<Option<Header>, Fault> {
        let mut block = [0; BLOCK];
        match self.input.read(&mut block)? {
            0 => Ok(None),
            BLOCK => Header::parse(block),
            _ => Err(Fault::Truncated("a header")),
        }
    }

    fn take_long(
        &mut self,
        header: &Header,
        slot: &mut Option<Vec<u8>>,
        what: &'static str,
    ) -> Result<(), Fault> {
        let bytes = self.read_extension(header, LONG_NAME_MAX, what)?;
        let name = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
        if name.contains(&0) {
            return Err(Fault::Name("has a NUL in it"));
        }
        once(slot, name.to_vec(), what)
    }

    fn take_pax(&mut self, header: &Header, described: &mut Described) -> Result<(), Fault> {
        let bytes = self.read_extension(header, PAX_MAX, "a PAX header")?;
        once(&mut described.records, Records::parse(&bytes)?, "a PAX header")
    }

    fn check_global(&mut self, header: &Header) -> Result<(), Fault> {
        let bytes = self.read_extension(header, PAX_MAX, "a global PAX header")?;
        match pax::changing_key(&bytes)? {
            None => Ok(()),
            Some(key) => Err(Fault::GlobalPax(key.escape_ascii().to_string())),
        }
    }

    fn read_extension(
        &mut self,
        header: &Header,
        limit: u64,
        what: &'static str,
    ) -> Result<Vec<u8>, Fault> {
        let length = header.size()?;
        if length > limit {
            return Err(Fault::Oversized { what, length, limit });
        }
        let mut bytes = vec![0; length.next_multiple_of(BLOCK as u64) as usize];
        if self.input.read(&mut bytes)? < bytes.len() {
            return Err(Fault::Truncated(what));
        }
        bytes.truncate(length as usize);
        Ok(bytes)
    }

    fn read_body(&mut self, header: &Header, described: Described) -> Result<Entry, Fault> {
        let Described { name, link, records } = described;
        let records = records.unwrap_or_default();
        let path = agree(name, records.path.clone(), "a name")?.unwrap_or_else(|| header.name());
        let path = records.sparse.name.clone().unwrap_or(path);
        self.name = Some(path.as_slice().into());
        let link = agree(link, records.link.clone(), "a link target")?;
        let link = link.unwrap_or_else(|| header.link());
        let (mtime, mtime_nanos) = match records.mtime {
            Some(time) => time,
            None => (header.mtime()?, 0),
        };
        Ok(Entry {
            at: self.at,
            mode: header.mode()?,
            uid: id(records.uid, || header.uid(), "uid")?,
            gid: id(records.gid, || header.gid(), "gid")?,
            mtime,
            mtime_nanos,
            kind: self.read_kind(header, &records, &path, link)?,
            xattrs: records.xattrs,
            path,
        })
    }

    fn read_kind(
        &mut self,
        header: &Header,
        records: &Records,
        path: &[u8],
        link: Vec<u8>,
    ) -> Result<Kind, Fault> {
        let stored = records.size.map_or_else(|| header.size(), Ok)?;
        if stored > SIZE_MAX {
            return Err(Fault::Range("size"));
        }
        // Programs from before the type field mark a directory by the slash.
        let old_directory = header.kind() == 0 && path.ends_with(b"/");
        let kind = match header.kind() {
            b'5' => Kind::Directory,
            0 if old_directory => Kind::Directory,
            0 | b'0' | b'7' => return self.read_file(records, stored),
            b'S' if header.is_gnu() => return self.read_old_sparse(header, stored),
            b'1' => Kind::Hardlink(link),
            b'2' => Kind::Symlink(link),
            b'3' => Kind::CharDevice(device(header, records)?),
            b'4' => Kind::BlockDevice(device(header, records)?),
            b'6' => Kind::Fifo,
            other => return Err(Fault::UnknownType(other)),
        };
        match stored {
            0 => Ok(kind),
            _ => Err(Fault::UnexpectedData),
        }
    }

    fn read_file(&mut self, records: &Records, stored: u64) -> Result<Kind, Fault> {
        let padding = padding(stored);
        let mut data = stored;
        let map = Layout::of(records.sparse.clone())?.read(&mut self.input, &mut data)?;
        (self.data, self.padding) = (data, padding);
        Ok(Kind::File(map))
    }

    fn read_old_sparse(&mut self, header: &Header, stored: u64) -> Result<Kind, Fault> {
        let mut map = Old::new(header.sparse_map())?;
        while map.wants_more() {
            let mut block = [0; BLOCK];
            if self.input.read(&mut block)? < BLOCK {
                return Err(Fault::Truncated("a sparse map"));
            }
            map.block(&block)?;
        }
        (self.data, self.padding) = (stored, padding(stored));
        Ok(Kind::File(map.finish(header.real_size()?, stored)?))
    }
}

/// What the headers in front of an entry say about it.
#[derive(Default)]
struct Described {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    records: Option<Records>,
}

impl Described {
    fn none_follows(&self) -> Result<(), Fault> {
        match self {
            Self { name: None, link: None, records: None } => Ok(()),
            _ => Err(Fault::Orphan),
        }
    }
}

/// How far we are in the archive.
#[derive(Debug)]
struct Counted<I> {
    input: I,
    position: u64,
}

impl<I: Input> Input for Counted<I> {
    fn fill(&mut self) -> Result<&[u8], Fault> {
        self.input.fill()
    }

    fn consume(&mut self, count: usize) {
        self.input.consume(count);
        self.position += count as u64;
    }

    fn skip(&mut self, count: u64) -> Result<u64, Fault> {
        let skipped = self.input.skip(count)?;
        self.position += skipped;
        Ok(skipped)
    }
}

fn once<T>(slot: &mut Option<T>, value: T, what: &'static str) -> Result<(), Fault> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Fault::Repeated(what)),
    }
}

/// GNU tar's long name and PAX's path: readers differ in which one they prefer.
fn agree(
    long: Option<Vec<u8>>,
    pax: Option<Vec<u8>>,
    what: &'static str,
) -> Result<Option<Vec<u8>>, Fault> {
    match (long, pax) {
        (Some(long), Some(pax)) if long != pax => Err(Fault::Repeated(what)),
        (long, pax) => Ok(long.or(pax)),
    }
}

fn id(
    record: Option<u64>,
    header: impl FnOnce() -> Result<u64, Fault>,
    name: &'static str,
) -> Result<u32, Fault> {
    let id = record.map_or_else(header, Ok)?;
    if id <= ID_MAX { Ok(id as u32) } else { Err(Fault::Range(name)) }
}

fn device(header: &Header, records: &Records) -> Result<Device, Fault> {
    let Device { major, minor } = header.device()?;
    let major = records.major.unwrap_or(major.into());
    let minor = records.minor.unwrap_or(minor.into());
    if major > MAJOR_MAX.into() || minor > MINOR_MAX.into() {
        return Err(Fault::Range("device number"));
    }
    Ok(Device { major: major as u32, minor: minor as u32 })
}

/// What fills the last block behind `data` bytes.
fn padding(data: u64) -> u64 {
    data.wrapping_neg() % BLOCK as u64
}
