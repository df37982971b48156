//! Whatever the bytes, reading them as a Debian package ends, does not panic, and shows
//! only files with paths of a sane length and with as much content as is announced.

use std::io::{self, Read};

use pintle_image::{Error, deb};

/// Enough for all seeds; what is larger was made by a decompressor.
const READ_AT_MOST: u64 = 1 << 20;

/// Says how many files the package has, if it was taken for one.
pub(crate) fn check(bytes: &[u8]) -> Option<usize> {
    let mut files = 0;
    let read = deb::read_files(bytes, &mut |file| {
        assert!(file.path.len() <= 4096 && !file.path.starts_with('/'));
        files += 1;
        let read = io::copy(&mut file.data.take(READ_AT_MOST), &mut io::sink());
        let read = read.map_err(|cause| Error::input("read a file", cause))?;
        assert_eq!(read, file.size.min(READ_AT_MOST));
        Ok(())
    });
    read.is_ok().then_some(files)
}
