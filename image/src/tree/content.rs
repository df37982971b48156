//! Where a regular file's data is.

use std::io;

use crate::spool::Spool;

/// A regular file's data: data extents in the spool, holes between them.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Content {
    /// Length in bytes, as `stat` shows it.
    pub size: u64,
    /// Data runs by ascending `offset`, none empty, not overlapping, none past `size`; what they
    /// leave out reads as zeros.
    pub extents: Box<[Extent]>,
}

/// A run of a file's bytes in the spool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// Where in the file.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
    /// Where in the spool.
    pub spool: u64,
}

impl Content {
    /// A file of exactly these bytes, written to the spool.
    pub fn append(spool: &Spool, bytes: &[u8]) -> io::Result<Self> {
        Ok(Self::whole(spool.append(bytes)?, bytes.len() as u64))
    }

    /// A file of `size` bytes that stand in one piece at `spool`.
    pub fn whole(spool: u64, size: u64) -> Self {
        let extents =
            if size == 0 { [].into() } else { [Extent { offset: 0, length: size, spool }].into() };
        Self { size, extents }
    }

    /// Fills `buffer` with the file's bytes from `offset` on, holes as zeros.
    ///
    /// # Errors When the spool cannot be read. What `buffer` would hold past the file's end is
    /// zeros, not an error.
    pub fn read_at(&self, spool: &Spool, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        buffer.fill(0);
        let end = offset + buffer.len() as u64;
        let first = self.extents.partition_point(|run| run.offset + run.length <= offset);
        for run in self.extents[first..].iter().take_while(|run| run.offset < end) {
            let from = run.offset.max(offset);
            let to = (run.offset + run.length).min(end);
            let target = &mut buffer[(from - offset) as usize..(to - offset) as usize];
            spool.read_at(target, run.spool + (from - run.offset))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_and_what_is_past_the_end_read_as_zeros() {
        let spool = Spool::within(&std::env::temp_dir()).unwrap();
        let at = spool.append(b"abcdef").unwrap();
        let extents = [
            Extent { offset: 2, length: 3, spool: at },
            Extent { offset: 7, length: 3, spool: at + 3 },
        ];
        let content = Content { size: 12, extents: extents.into() };
        let mut buffer = [b'?'; 11];
        content.read_at(&spool, &mut buffer, 3).unwrap();
        assert_eq!(&buffer, b"bc\0\0def\0\0\0\0");
    }

    #[test]
    fn an_empty_file_has_no_extent() {
        assert_eq!(Content::whole(4096, 0), Content::default());
    }
}
