use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use pintle_verify::Digest;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{REF_NAME, blob_name};
use crate::document::{self, INDEX, set_tag};
use crate::{Blob, Error};

/// Writes a layout: blobs first, and the index that names them last.
pub struct LayoutWriter(Store);

enum Store {
    /// What is there stays, and other tags too.
    Directory(PathBuf),
    Archive(Box<tar::Builder<File>>),
}

impl LayoutWriter {
    /// A layout in a directory, which is made where there is none. Tags and blobs that are in it stay.
    pub fn directory(path: &Path) -> Result<Self, Error> {
        let blobs = path.join("blobs/sha256");
        fs::create_dir_all(&blobs).map_err(Error::file("create", &blobs.to_string_lossy()))?;
        replace(&path.join("oci-layout"), &mut &*MARKER)?;
        Ok(Self(Store::Directory(path.to_owned())))
    }

    /// A layout in a tar file, which is empty.
    pub fn archive(file: File) -> Result<Self, Error> {
        let mut archive = tar::Builder::new(file);
        append(&mut archive, "oci-layout", MARKER.len() as u64, &mut &*MARKER)?;
        Ok(Self(Store::Archive(Box::new(archive))))
    }

    /// What a tag names: an image index, or a container image by itself.
    pub fn tagged(&self, tag: &str) -> Result<Option<(String, Blob)>, Error> {
        let Store::Directory(path) = &self.0 else { return Ok(None) };
        match fs::read(path.join("index.json")) {
            Ok(bytes) => document::tagged(&bytes, tag, REF_NAME),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file("read", "index.json")(error)),
        }
    }

    /// A blob that is there already and has at most `limit` bytes.
    pub fn document(&self, blob: &Blob, limit: usize) -> Result<Vec<u8>, Error> {
        let Store::Directory(path) = &self.0 else {
            return Err(Error::Layout("an archive is only written".to_owned()));
        };
        if blob.size > limit as u64 {
            return Err(Error::Layout(format!("{} has {} bytes", blob.digest, blob.size)));
        }
        let bytes = fs::read(path.join(blob_name(&blob.digest)));
        let bytes = bytes.map_err(Error::file("read", &blob.digest.to_string()))?;
        match Digest::of(&bytes) == blob.digest {
            true => Ok(bytes),
            false => Err(Error::Damaged { object: "document", offset: 0 }),
        }
    }

    /// Whether it has the blob already.
    pub fn has(&self, blob: &Blob) -> bool {
        match &self.0 {
            Store::Directory(path) => fs::metadata(path.join(blob_name(&blob.digest)))
                .is_ok_and(|metadata| metadata.len() == blob.size),
            Store::Archive(_) => false,
        }
    }

    /// Writes a blob, whose content is checked on the way. An archive takes each blob once.
    pub fn blob(&mut self, blob: &Blob, content: &mut dyn Read) -> Result<(), Error> {
        let name = blob_name(&blob.digest);
        let mut content =
            Checked { content: content.take(blob.size + 1), hash: Sha256::new(), size: 0 };
        match &mut self.0 {
            Store::Directory(path) => return write_checked(&path.join(name), &mut content, blob),
            Store::Archive(archive) => append(archive, &name, blob.size, &mut content)?,
        }
        content.check(blob)
    }

    /// Names an image index, whose blob has been written, and makes all of it durable.
    pub fn finish(self, tag: &str, index: &Blob) -> Result<(), Error> {
        match self.0 {
            Store::Directory(path) => finish_directory(&path, tag, index),
            Store::Archive(archive) => finish_archive(*archive, tag, index),
        }
    }
}

static MARKER: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

fn finish_directory(path: &Path, tag: &str, index: &Blob) -> Result<(), Error> {
    let file = path.join("index.json");
    let old = match fs::read(&file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => no_tags(),
        Err(error) => return Err(Error::file("read", "index.json")(error)),
    };
    sync_directory(&path.join("blobs/sha256"))?;
    replace(&file, &mut set_tag(&old, (REF_NAME, tag), index)?.as_slice())?;
    sync_directory(path)
}

fn finish_archive(mut archive: tar::Builder<File>, tag: &str, index: &Blob) -> Result<(), Error> {
    let bytes = set_tag(&no_tags(), (REF_NAME, tag), index)?;
    append(&mut archive, "index.json", bytes.len() as u64, &mut bytes.as_slice())?;
    let file = archive.into_inner().map_err(Error::file("write", "archive"))?;
    file.sync_all().map_err(Error::file("sync", "archive"))
}

fn no_tags() -> Vec<u8> {
    let index: Value = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": []});
    index.to_string().into_bytes()
}

/// The same bytes whoever writes them, and when.
fn append(
    archive: &mut tar::Builder<File>,
    name: &str,
    size: u64,
    content: &mut dyn Read,
) -> Result<(), Error> {
    let mut header = tar::Header::new_ustar();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    let appended = archive.append_data(&mut header, name, content.take(size));
    appended.map_err(Error::file("write", name))
}

fn write_checked(path: &Path, content: &mut Checked<'_>, blob: &Blob) -> Result<(), Error> {
    let unfinished = write_beside(path, content)?;
    let checked = content.check(blob).and_then(|()| rename(&unfinished, path));
    if checked.is_err() {
        // What is wrong has no use; that it cannot be removed says nothing new.
        fs::remove_file(&unfinished).ok();
    }
    checked
}

fn replace(path: &Path, content: &mut dyn Read) -> Result<(), Error> {
    rename(&write_beside(path, content)?, path)
}

/// Writes a file under a name that nobody looks for, and makes its bytes durable.
fn write_beside(path: &Path, content: &mut dyn Read) -> Result<PathBuf, Error> {
    let unfinished = path.with_extension("unfinished");
    let mut write = || {
        let mut file = File::create(&unfinished)?;
        io::copy(content, &mut file)?;
        file.flush()?;
        file.sync_all()
    };
    write().map_err(Error::file("write", &path.to_string_lossy()))?;
    Ok(unfinished)
}

fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).map_err(Error::file("write", &to.to_string_lossy()))
}

fn sync_directory(path: &Path) -> Result<(), Error> {
    let synced = File::open(path).and_then(|directory| directory.sync_all());
    synced.map_err(Error::file("sync", &path.to_string_lossy()))
}

/// A blob's content, hashed as it is read.
struct Checked<'c> {
    content: io::Take<&'c mut dyn Read>,
    hash: Sha256,
    size: u64,
}

impl Checked<'_> {
    /// Whether it was the blob's, when all of it has been read.
    fn check(&mut self, blob: &Blob) -> Result<(), Error> {
        io::copy(self, &mut io::sink()).map_err(Error::file("read", "blob"))?;
        let digest = Digest::from_bytes(self.hash.clone().finalize().into());
        match (digest, self.size) == (blob.digest, blob.size) {
            true => Ok(()),
            false => Err(Error::Damaged { object: "blob", offset: 0 }),
        }
    }
}

impl Read for Checked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read(buffer)?;
        self.hash.update(buffer.get(..count).unwrap_or_default());
        self.size += count as u64;
        Ok(count)
    }
}
