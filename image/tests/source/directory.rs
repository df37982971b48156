//! `dir:`: a directory of the host as an image.

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use pintle_image::layer::Limits;
use pintle_image::progress::Silent;
use pintle_image::source::{Options, Source};
use pintle_image::spool::Spool;
use pintle_image::tree::Body;
use pintle_verify::Architecture;

use crate::facts;
use crate::layout::load;
use crate::program::shell;

fn source(path: &Path) -> Source {
    Source::Directory { path: path.to_owned() }
}

#[test]
fn what_stat_shows_is_what_the_image_gets() {
    let directory = tempfile::tempdir().unwrap();
    let script = "mkdir -p a/b c && echo x > a/f && ln a/f c/g && ln -s /abs a/s && ln a/s c/t \
         && mkfifo p && mknod n c 1 3 && mknod d b 259 1048575 && chown 7:3000000000 a/f \
         && chmod 6711 a/f && touch -d '1961-02-03 04:05:06.7' a/f && chmod 1770 .";
    shell(directory.path(), script);
    std::fs::write(directory.path().join(std::ffi::OsStr::from_bytes(b"\xff\n")), "odd").unwrap();
    let _socket = UnixListener::bind(directory.path().join("socket")).unwrap();
    let no_flags = rustix::fs::XattrFlags::empty();
    for (path, name, size) in
        [("a", "user.a", 3), ("a/f", "trusted.b", 2000), ("a/s", "trusted.c", 0)]
    {
        rustix::fs::lsetxattr(directory.path().join(path), name, &vec![0xff; size], no_flags)
            .unwrap();
    }
    let expected = facts::of_directory(directory.path());
    let loaded = load(&source(directory.path())).unwrap();
    assert_eq!(loaded.image.facts(), expected);
    assert_eq!((loaded.manifest, loaded.created, loaded.labels), (None, None, vec![]));
}

#[test]
fn holes_stay_holes() {
    let directory = tempfile::tempdir().unwrap();
    let file = File::create(directory.path().join("f")).unwrap();
    file.set_len(1 << 40).unwrap();
    file.write_all_at(b"data", 1 << 30).unwrap();
    let limits = Limits { bytes: 2 << 40, ..Limits::default() };
    let options = Options { architecture: Architecture::X86_64, limits, progress: &Silent };
    let spool = Spool::within(directory.path()).unwrap();
    let tree = source(directory.path()).read(&spool, &options).unwrap().tree;
    let Body::File(content) = &tree.inode(tree.lookup("f").unwrap()).body else { panic!() };
    assert_eq!((content.size, content.extents.len()), (1 << 40, 1));
    assert_eq!((content.extents[0].offset, content.extents[0].length), (1 << 30, 4096));
    let mut data = [0; 6];
    content.read_at(&spool, &mut data, (1 << 30) - 1).unwrap();
    assert_eq!(&data, b"\0data\0");
}

#[test]
fn a_directory_has_the_limits_of_an_image() {
    let directory = tempfile::tempdir().unwrap();
    shell(directory.path(), "touch a b c && truncate -s 1M d");
    let spool = Spool::within(&std::env::temp_dir()).unwrap();
    let refusal = |limits| {
        let options = Options { architecture: Architecture::X86_64, limits, progress: &Silent };
        source(directory.path()).read(&spool, &options).unwrap_err().to_string()
    };
    let limits = Limits::default();
    assert!(refusal(Limits { entries: 4, ..limits }).ends_with("more than 4 files"));
    assert!(refusal(Limits { bytes: 1 << 19, ..limits }).ends_with("more than 524288 bytes"));
}

#[test]
fn what_is_no_directory() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let said = format!("cannot read {}: not a directory", file.path().display());
    assert_eq!(load(&source(file.path())).err().unwrap(), said);
    assert!(load(&source(Path::new("/no/such"))).err().unwrap().ends_with("(os error 2)"));
}

#[test]
fn the_root_may_be_a_symlink() {
    let directory = tempfile::tempdir().unwrap();
    shell(directory.path(), "mkdir d && touch d/f && chmod 700 d && ln -s d l");
    let loaded = load(&source(&directory.path().join("l"))).unwrap();
    assert_eq!(loaded.image.names(), ["f"]);
    assert_eq!(loaded.image.tree.inode(loaded.image.tree.root()).mode, 0o700);
}
