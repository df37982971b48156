//! The files in a Debian package, read in one pass and unpacked nowhere.
//!
//! Source: deb(5). A package is an `ar` archive of `debian-binary`, `control.tar` and `data.tar`,
//! the latter two perhaps compressed. Of `ar` only this plain form is taken: no symbol tables, no
//! long names.

use std::io::{self, BufReader, Read};

use liblzma::read::XzDecoder;
use liblzma::stream::Stream;
use tar::EntryType;

use crate::{Error, Result};

const AR_MAGIC: &[u8] = b"!<arch>\n";
const AR_HEADER: usize = 60;
/// A package has three members and may have a few more whose names begin with `_`.
const MAX_MEMBERS: usize = 16;
/// Ten times what a kernel with debug symbols holds; what goes beyond is a decompression bomb.
const MAX_DATA: u64 = 16 << 30;
/// The largest kernel packages hold ten thousand files.
const MAX_FILES: usize = 1_000_000;
/// The kernel's `PATH_MAX`.
const MAX_PATH: u64 = 4096;
/// `xz -9` needs 65 MiB.
const MAX_XZ_MEMORY: u64 = 256 << 20;

/// A regular file of a package while it is being read.
pub struct File<'a> {
    /// Relative to the root, without a leading `./`.
    pub path: &'a str,
    /// Length in bytes.
    pub size: u64,
    /// The content.
    pub data: &'a mut dyn Read,
}

/// Shows `visit` every regular file of the package's data archive, in archive order.
pub fn read_files(package: impl Read, visit: &mut dyn FnMut(File<'_>) -> Result<()>) -> Result<()> {
    let mut package = BufReader::new(package);
    let (name, size) = find_data(&mut package)?;
    let data = decompress(&name, Whole { data: package, left: size })?;
    let mut data = data.take(MAX_DATA);
    read_tar(&mut data, visit)?;
    // The end of a tar archive hides whether more should have come.
    io::copy(&mut data, &mut io::sink()).map(drop).map_err(unreadable)
}

/// The refusal of a package that has not what a kernel's must have.
pub fn lacks(what: &str) -> Error {
    let cause = "there is none in it; if it is a meta package, such as linux-image-amd64, the \
                 package that it depends on is wanted";
    Error::input(format!("find {what}"), cause)
}

/// Leaves `package` at the first byte of `data.tar*`, and gives that member's name and size.
fn find_data(package: &mut impl Read) -> Result<(String, u64)> {
    let magic: [u8; AR_MAGIC.len()] = read_array(package)?;
    if magic != AR_MAGIC {
        return Err(refuse("it does not begin as an ar archive does"));
    }
    for _ in 0..MAX_MEMBERS {
        let (name, size) = read_member(package)?;
        if name.starts_with("data.tar") {
            return Ok((name, size));
        }
        skip(package, size.next_multiple_of(2))?;
    }
    Err(refuse(format!("no data.tar among its first {MAX_MEMBERS} members")))
}

/// A member's header: 16 bytes of name, 32 that do not matter, 10 of decimal size, an end mark.
fn read_member(package: &mut impl Read) -> Result<(String, u64)> {
    let header: [u8; AR_HEADER] = read_array(package)?;
    let text = str::from_utf8(&header).map_err(|_| refuse("a member's header is not text"))?;
    let field = |from, to| text.get(from..to).map(str::trim_end);
    let (Some(name), Some(size), Some("`\n")) = (field(0, 16), field(48, 58), text.get(58..60))
    else {
        return Err(refuse("a member's header has no end mark"));
    };
    let size = size.parse().map_err(|_| refuse(format!("size {size:?} of member {name:?}")))?;
    Ok((name.trim_end_matches('/').to_owned(), size))
}

fn decompress<'a>(name: &str, data: impl Read + 'a) -> Result<Box<dyn Read + 'a>> {
    Ok(match name {
        "data.tar" => Box::new(data),
        "data.tar.gz" => Box::new(flate2::read::GzDecoder::new(data)),
        "data.tar.xz" => Box::new(XzDecoder::new_stream(data, xz_stream()?)),
        "data.tar.zst" => Box::new(zstd::Decoder::new(data).map_err(unreadable)?),
        _ => return Err(refuse(format!("{name} is compressed in an unknown way"))),
    })
}

fn xz_stream() -> Result<Stream> {
    Stream::new_stream_decoder(MAX_XZ_MEMORY, 0).map_err(|e| refuse(e.to_string()))
}

/// Entries are taken raw, because the tar crate would hold a long name of any length in memory.
fn read_tar(data: impl Read, visit: &mut dyn FnMut(File<'_>) -> Result<()>) -> Result<()> {
    let mut archive = tar::Archive::new(data);
    let mut long_name = None;
    for (count, entry) in archive.entries().map_err(unreadable)?.raw(true).enumerate() {
        let mut entry = entry.map_err(unreadable)?;
        if count >= MAX_FILES {
            return Err(refuse(format!("more than {MAX_FILES} files")));
        }
        match entry.header().entry_type() {
            EntryType::GNULongName => long_name = Some(read_long_name(&mut entry)?),
            EntryType::Regular => show(&mut entry, long_name.take(), visit)?,
            EntryType::XHeader | EntryType::XGlobalHeader => {
                return Err(refuse("a PAX header, which dpkg does not write"));
            }
            _ => long_name = None,
        }
    }
    Ok(())
}

fn show(
    entry: &mut tar::Entry<'_, impl Read>,
    long_name: Option<Vec<u8>>,
    visit: &mut dyn FnMut(File<'_>) -> Result<()>,
) -> Result<()> {
    let path = long_name.unwrap_or_else(|| entry.path_bytes().into_owned());
    let path = String::from_utf8(path).map_err(|e| refuse(e.to_string()))?;
    let path = path.trim_start_matches("./").trim_start_matches('/');
    let size = entry.size();
    visit(File { path, size, data: &mut Whole { data: entry, left: size } })
}

fn read_long_name(entry: &mut impl Read) -> Result<Vec<u8>> {
    let mut name = Vec::new();
    entry.take(MAX_PATH + 1).read_to_end(&mut name).map_err(unreadable)?;
    if name.len() as u64 > MAX_PATH {
        return Err(refuse(format!("a path is longer than {MAX_PATH} bytes")));
    }
    name.truncate(name.iter().position(|&byte| byte == 0).unwrap_or(name.len()));
    Ok(name)
}

fn read_array<const N: usize>(from: &mut impl Read) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

fn skip(from: &mut impl Read, size: u64) -> Result<()> {
    match io::copy(&mut from.take(size), &mut io::sink()).map_err(unreadable)? {
        skipped if skipped == size => Ok(()),
        _ => Err(refuse("it ends within a member")),
    }
}

/// The first `left` bytes of `data`. That there are fewer is an error; for `Read::take` it is not.
struct Whole<R> {
    data: R,
    left: u64,
}

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = (&mut self.data).take(self.left).read(buffer)?;
        self.left -= read as u64;
        match read == 0 && self.left > 0 && !buffer.is_empty() {
            true => Err(io::ErrorKind::UnexpectedEof.into()),
            false => Ok(read),
        }
    }
}

fn unreadable(cause: io::Error) -> Error {
    Error::input("read the Debian package", cause)
}

fn refuse(cause: impl Into<String>) -> Error {
    Error::input("read the Debian package", cause.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::process::Command;

    /// What `dpkg-deb` makes of these files, compressed as `-Z` says.
    fn package(files: &[(&str, &str)], compression: &str) -> Vec<u8> {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("root");
        let control =
            "Package: p\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b>\nDescription: d\n";
        for (path, content) in files.iter().chain(&[("DEBIAN/control", control)]) {
            let file = root.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, content).unwrap();
        }
        let mut build = Command::new("dpkg-deb");
        build.arg(format!("-Z{compression}")).args([
            "--root-owner-group",
            "--build",
            "root",
            "p.deb",
        ]);
        let output = build.current_dir(&home).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        fs::read(home.path().join("p.deb")).unwrap()
    }

    fn files(package: &[u8]) -> Result<Vec<(String, String)>> {
        let mut all = Vec::new();
        read_files(package, &mut |file| {
            let mut content = String::new();
            file.data.read_to_string(&mut content).map_err(unreadable)?;
            assert_eq!(file.size, content.len() as u64);
            all.push((file.path.to_owned(), content));
            Ok(())
        })?;
        Ok(all)
    }

    fn refusal(package: &[u8]) -> String {
        files(package).unwrap_err().to_string()
    }

    /// An `ar` archive with a plain data.tar of these bytes.
    fn with_data(data: &[u8]) -> Vec<u8> {
        [AR_MAGIC, &member("data.tar", data.len()), data].concat()
    }

    fn member(name: &str, size: usize) -> Vec<u8> {
        format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 100644).into_bytes()
    }

    fn tar_entry(kind: EntryType, size: u64) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_path("file").unwrap();
        header.set_size(size);
        header.set_cksum();
        header.as_bytes().to_vec()
    }

    #[test]
    fn every_compression_of_dpkg_gives_every_file() {
        let long = format!("lib/{}/name", "long-directory".repeat(12));
        let expected = [("boot/config", "CONFIG_X=y\n"), ("empty", ""), (&long, "far")];
        for compression in ["none", "gzip", "xz", "zstd"] {
            let mut found = files(&package(&expected, compression)).unwrap();
            found.sort();
            let expected = expected.map(|(path, content)| (path.to_owned(), content.to_owned()));
            assert_eq!(found, expected, "{compression}");
        }
    }

    #[test]
    fn a_visitors_error_ends_the_reading() {
        let package = package(&[("a", ""), ("b", "")], "none");
        let mut seen = 0;
        let result = read_files(package.as_slice(), &mut |_| {
            seen += 1;
            Err(refuse("enough"))
        });
        assert_eq!((result.is_err(), seen), (true, 1));
    }

    #[test]
    fn what_is_no_package_is_refused() {
        let long_name = tar_entry(EntryType::GNULongName, MAX_PATH + 1);
        let long_name = [long_name, vec![b'a'; 8192]].concat();
        let pax = [tar_entry(EntryType::XHeader, 0), vec![0; 1024]].concat();
        let too_many = [AR_MAGIC, &member("_", 0).repeat(MAX_MEMBERS + 1)].concat();
        let cases = [
            (Vec::new(), "failed to fill"),
            (b"PK\x03\x04    ".to_vec(), "does not begin"),
            ([AR_MAGIC, &[b' '; AR_HEADER]].concat(), "no end mark"),
            ([AR_MAGIC, &[0xff; AR_HEADER]].concat(), "not text"),
            ([AR_MAGIC, &member("_", 9)].concat(), "ends within a member"),
            ([AR_MAGIC, &member("data.tar.lzma", 0)].concat(), "unknown way"),
            (too_many, "no data.tar among"),
            (with_data(&long_name), "longer than 4096"),
            (with_data(&pax), "PAX"),
        ];
        for (package, cause) in cases {
            let refusal = refusal(&package);
            assert!(refusal.starts_with("cannot read the Debian package: "), "{refusal}");
            assert!(refusal.contains(cause), "{refusal:?} has no {cause:?}");
        }
    }

    #[test]
    fn a_cut_package_is_an_error_wherever_it_is_cut() {
        for compression in ["none", "gzip", "xz", "zstd"] {
            let whole = package(&[("a", "content")], compression);
            files(&whole).unwrap();
            for end in (0..whole.len() - 1).step_by(7) {
                assert!(files(&whole[..end]).is_err(), "{compression} cut at {end}");
            }
        }
    }
}
