//! Images that erofs-utils made, by our reader.

use crate::facts;
use crate::written::run;
use pintle_image::erofs::read::Image;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

#[test]
fn images_of_mkfs_read_as_their_source() {
    let home = TempDir::new().unwrap();
    let source = home.path().join("source");
    populate(&source);
    for option in ["-T1000000000", "--chunksize=4096", "-Eforce-inode-extended"] {
        let image = home.path().join("mkfs.img");
        run(Command::new("mkfs.erofs").arg("--quiet").arg(option).arg(&image).arg(&source));
        let found = facts::of_image(&Image::open(File::open(image).unwrap()).unwrap());
        assert_eq!(found, facts::of_directory(&source));
    }
}

/// All of one time, because small inodes have none of their own.
fn populate(source: &Path) {
    fs::create_dir_all(source.join("directory/empty")).unwrap();
    for size in [0, 1, 100, 4000, 4096, 5000, 1_000_000] {
        fs::write(source.join(format!("directory/{size}")), vec![size as u8; size]).unwrap();
    }
    symlink("directory/1", source.join("symlink")).unwrap();
    fs::hard_link(source.join("directory/100"), source.join("hard-link")).unwrap();
    (0..500).for_each(|i| fs::write(source.join(format!("directory/file-{i}")), "x").unwrap());
    let files = ["find", "-exec", "touch", "-h", "-d", "@1000000000", "{}", "+"];
    run(Command::new(files[0]).arg(source).args(&files[1..]));
    for file in ["directory/100", "directory/1", "directory"] {
        let name = "user.of-mkfs";
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(source.join(file), name, b"value", flags).unwrap();
    }
}
