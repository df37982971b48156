//! A readable account of what a seal says and an image holds. It proves nothing: `verify` does.

mod text;

use crate::erofs::format::FileType;
use crate::erofs::read::{self, Found, Image, Inode, ReadAt};
use crate::error::Attempt;
use crate::release::{IMAGE, SEAL};
use crate::{Error, Result, verify};
use pintle_verify::{Digest, Refusal, Seal, Uuid, peek, seal_digest, signers};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::error::Error as Cause;
use std::fs::File;
use std::path::Path;

/// Bytes of a file that are hashed at a time.
const STEP: usize = 1 << 20;

/// What is known of a release, an image or a seal without any key.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// What the seal claims.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seal: Option<SealReport>,
    /// What the image holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageReport>,
}

/// What a seal claims, whoever signed it.
#[derive(Debug, Serialize)]
pub struct SealReport {
    /// The digest by which machines remember it.
    pub digest: Digest,
    /// Whose signatures it bears, by the ids that `keygen` prints. They may be forged.
    pub signers: Vec<String>,
    /// Its statement.
    #[serde(flatten)]
    pub statement: Seal,
}

/// What an image holds.
#[derive(Debug, Serialize)]
pub struct ImageReport {
    /// Identifies the file system.
    pub uuid: String,
    /// Length in bytes.
    pub size: u64,
    /// How many inodes there are.
    pub inodes: u64,
    /// Everything, by path.
    pub files: Vec<FileReport>,
}

/// What an image holds at one path.
#[derive(Debug, Serialize)]
pub struct FileReport {
    /// Absolute; what is not UTF-8 is escaped as `\xff`.
    pub path: String,
    /// `file`, `directory`, `symlink`, `char-device`, `block-device`, `fifo` or `socket`.
    #[serde(rename = "type", serialize_with = "as_name")]
    pub file_type: FileType,
    /// Permissions, in octal.
    pub mode: String,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Length in bytes.
    pub size: u64,
    /// Seconds since 1970.
    pub mtime: i64,
    /// Nanoseconds of `mtime`.
    pub mtime_nanos: u32,
    /// Names that refer to it; those of one file have one `inode`.
    pub links: u32,
    /// Its number, as `stat` shows it.
    pub inode: u64,
    /// A symlink's target, escaped as `path`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// A device's major and minor number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<(u32, u32)>,
    /// Extended attributes, their values in hexadecimal.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub xattrs: BTreeMap<String, String>,
    /// Digest of a file's content, if contents were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

/// How closely to look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Depth {
    /// At names and attributes.
    Attributes,
    /// At file contents too, which takes as long as hashing them.
    Contents,
}

/// Looks at a release's directory, at an image, or at a seal.
pub fn inspect(path: &Path, depth: Depth) -> Result<Report> {
    if path.is_dir() {
        let seal = Some(inspect_seal(&path.join(SEAL))?);
        let image = Some(inspect_image(&path.join(IMAGE), depth)?);
        return Ok(Report { seal, image });
    }
    match report(open(path)?, depth) {
        Ok(image) => Ok(Report { image: Some(image), seal: None }),
        Err(read::Error::NotErofs) => {
            Ok(Report { seal: Some(seal_or_neither(path)?), image: None })
        }
        Err(cause) => Err(refuse(path, cause)),
    }
}

fn seal_or_neither(path: &Path) -> Result<SealReport> {
    seal_report(&verify::read_seal(path)?).map_err(|refusal| {
        let not_image = read::Error::NotErofs;
        let cause = format!("it is no image ({not_image}) and no seal ({refusal}); give a release");
        refuse(path, cause)
    })
}

fn inspect_seal(path: &Path) -> Result<SealReport> {
    seal_report(&verify::read_seal(path)?).map_err(|refusal| refuse(path, refusal))
}

fn seal_report(bytes: &[u8]) -> std::result::Result<SealReport, Refusal> {
    let signers = signers(bytes)?.iter().map(ToString::to_string).collect();
    Ok(SealReport { digest: seal_digest(bytes), signers, statement: peek(bytes)? })
}

fn inspect_image(path: &Path, depth: Depth) -> Result<ImageReport> {
    report(open(path)?, depth).map_err(|cause| refuse(path, cause))
}

fn open(path: &Path) -> Result<File> {
    File::open(path).attempt(|| format!("open {}", path.display()))
}

fn refuse(path: &Path, cause: impl Into<Box<dyn Cause + Send + Sync>>) -> Error {
    Error::input(format!("inspect {}", path.display()), cause)
}

/// Looks at an image wherever it is.
pub fn report<S: ReadAt>(source: S, depth: Depth) -> Result<ImageReport, read::Error> {
    let image = Image::open(source)?;
    let files = image.walk().map(|found| file_report(&image, &found?, depth));
    Ok(ImageReport {
        files: files.collect::<Result<_, _>>()?,
        uuid: Uuid::from_bytes(image.superblock().uuid).to_string(),
        size: image.length(),
        inodes: image.superblock().inodes.get(),
    })
}

fn file_report<S: ReadAt>(
    image: &Image<S>,
    found: &Found,
    depth: Depth,
) -> Result<FileReport, read::Error> {
    let inode = &found.inode;
    let xattrs = image.xattrs(inode)?.into_iter();
    Ok(FileReport {
        path: escape(&found.path),
        file_type: inode.file_type,
        mode: format!("{:04o}", inode.permissions),
        uid: inode.uid,
        gid: inode.gid,
        size: inode.size,
        mtime: inode.mtime,
        mtime_nanos: inode.mtime_nanos,
        links: inode.links,
        inode: inode.nid.0,
        target: target(image, inode)?,
        device: inode.device(),
        xattrs: xattrs.map(|xattr| (escape(&xattr.name), hex(&xattr.value))).collect(),
        digest: match (inode.file_type, depth) {
            (FileType::File, Depth::Contents) => Some(digest(image, inode)?),
            _ => None,
        },
    })
}

fn target<S: ReadAt>(image: &Image<S>, inode: &Inode) -> Result<Option<String>, read::Error> {
    match inode.file_type {
        FileType::Symlink => Ok(Some(escape(&image.target(inode)?))),
        _ => Ok(None),
    }
}

fn digest<S: ReadAt>(image: &Image<S>, inode: &Inode) -> Result<Digest, read::Error> {
    use sha2::Digest as _;
    let (mut hasher, mut buffer) = (sha2::Sha256::new(), vec![0; STEP]);
    for offset in (0..inode.size).step_by(STEP) {
        let length = image.read_at(inode, offset, &mut buffer)?;
        hasher.update(&buffer[..length]);
    }
    Ok(Digest::from_bytes(hasher.finalize().into()))
}

fn as_name<S: Serializer>(file_type: &FileType, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(match file_type {
        FileType::File => "file",
        FileType::Directory => "directory",
        FileType::CharDevice => "char-device",
        FileType::BlockDevice => "block-device",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
        FileType::Symlink => "symlink",
    })
}

/// A name as text: a terminal must not obey it, and it must stay one line.
fn escape(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(|c: char| c.is_control() || c == '\\') => text.to_owned(),
        _ => bytes.escape_ascii().to_string(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
