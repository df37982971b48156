//! What GNU tar writes, in each of its formats, against the files that it wrote it from.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use tempfile::TempDir;

use crate::facts::{self, Facts};
use crate::outcome::merged_bytes;
use crate::program::shell;

/// Files of all kinds, with names of all lengths.
fn files() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let deep = format!("{}/", "d".repeat(90)).repeat(3);
    let long = "n".repeat(255);
    let script = format!(
        "mkdir -p etc {deep} && echo 1 > etc/one && ln etc/one etc/eins \
         && echo deep > {deep}{long} && ln -s {deep}{long} etc/s && ln {deep}{long} etc/hard \
         && mkfifo pipe && mknod null c 1 3 && mknod disk b 8 17 && chown 123456:654321 etc/one && chmod 6755 etc/one \
         && chmod 1777 etc && touch -d '2001-02-03 04:05:06' etc/one {deep}{long} pipe null disk \
         && touch -h -d '2001-02-03 04:05:07' etc/s && find . -type d | xargs touch -d '2002-01-01'"
    );
    shell(directory.path(), &script);
    directory
}

fn packed(directory: &Path, options: &str) -> Facts {
    let file = tempfile::NamedTempFile::new().unwrap();
    let output = file.path().display();
    shell(directory, &format!("tar {options} --numeric-owner -cf {output} ."));
    merged_bytes(&[fs::read(file.path()).unwrap()]).unwrap().facts()
}

#[test]
fn every_format_holds_what_was_packed() {
    let directory = files();
    let expected = facts::of_directory(directory.path());
    for format in ["gnu", "oldgnu", "posix"] {
        let found = packed(directory.path(), &format!("--format={format}"));
        assert!(found.keys().eq(expected.keys()), "{format}");
        for (path, fact) in &found {
            assert_eq!(fact, &expected[path], "{format}: {}", path.escape_ascii());
        }
    }
}

#[test]
fn times_between_seconds_and_before_1970() {
    let directory = tempfile::tempdir().unwrap();
    let script = "touch -d '1960-01-02 03:04:05.123456789' a && touch -d '2040-01-01 00:00:00.5' b \
                  && touch -d 2000-01-01 .";
    shell(directory.path(), script);
    let expected = facts::of_directory(directory.path());
    assert_eq!(packed(directory.path(), "--format=posix"), expected);
    let whole = packed(directory.path(), "--format=gnu");
    let (a, b) = (expected[&b"/a"[..]].mtime.0, expected[&b"/b"[..]].mtime.0);
    assert_eq!((whole[&b"/a"[..]].mtime, whole[&b"/b"[..]].mtime), ((a, 0), (b, 0)));
}

#[test]
fn extended_attributes() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("f");
    fs::write(&file, "x").unwrap();
    for (name, value) in [("user.a", &b"\0\n\xff="[..]), ("user.empty", b""), ("trusted.b", b"2")] {
        rustix::fs::lsetxattr(&file, name, value, rustix::fs::XattrFlags::empty()).unwrap();
    }
    shell(directory.path(), "touch -d 2000-01-01 . f");
    let expected = facts::of_directory(directory.path());
    assert_eq!(expected[&b"/f"[..]].xattrs.len(), 3);
    assert_eq!(packed(directory.path(), "--format=posix --xattrs --xattrs-include='*'"), expected);
}

/// With data at its start, end and middle, so many runs that one header cannot hold them, or none.
fn sparse_files() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let make = |name: &str, size: u64, runs: &[(u64, usize)]| {
        let file = File::create(directory.path().join(name)).unwrap();
        file.set_len(size).unwrap();
        for (at, length) in runs {
            file.write_all_at(&vec![b'a' + (*at % 23) as u8; *length], *at).unwrap();
        }
    };
    make("nothing", 1 << 20, &[]);
    make("start", 1 << 20, &[(0, 5000)]);
    make("end", (1 << 20) + 77, &[((1 << 20) - 4096, 4096 + 77)]);
    make("middle", 3 << 20, &[(1 << 20, 70_000)]);
    make("many", 100 << 16, &(0..100).map(|i| (i << 16, 4096)).collect::<Vec<_>>());
    shell(directory.path(), "touch -d 2000-01-01 . *");
    directory
}

#[test]
fn sparse_files_in_every_format() {
    let directory = sparse_files();
    let expected = facts::of_directory(directory.path());
    for options in [
        "--format=gnu",
        "--format=oldgnu",
        "--format=posix --sparse-version=0.0",
        "--format=posix --sparse-version=0.1",
        "--format=posix --sparse-version=1.0",
    ] {
        assert_eq!(packed(directory.path(), &format!("-S {options}")), expected, "{options}");
    }
}
