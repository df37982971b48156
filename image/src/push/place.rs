//! Where releases are published.

use std::fs::File;
use std::io::{Cursor, Read, Seek};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use pintle_registry::{Answer, Blob as RegistryBlob, Client, Reference, Settings};
use pintle_transfer::Blob;
use pintle_transfer::document::{INDEX, MANIFEST, MAX_INDEX};
use pintle_transfer::layout::LayoutWriter;
use pintle_verify::Digest;
use tempfile::NamedTempFile;

use super::settings::{explain, of_transfer};
use crate::error::{Attempt, Error, Result};
use crate::scratch::Guard;

/// A tag, as the command line names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// `HOST/REPOSITORY:TAG`, with or without `docker://` before it.
    Registry(Reference),
    /// `oci:DIR[:TAG]`: a directory in the OCI image layout. What is in it stays.
    Layout {
        /// The directory.
        directory: PathBuf,
        /// The tag.
        tag: String,
    },
    /// `oci-archive:FILE[:TAG]`: a tar of such a directory, written anew.
    Archive {
        /// The tar.
        file: PathBuf,
        /// The tag.
        tag: String,
    },
}

/// What a layout's tag is called where none is given, as for skopeo and podman.
const TAG: &str = "latest";

/// What a tag names.
pub(super) struct Tagged {
    pub(super) bytes: Vec<u8>,
    pub(super) media_type: String,
    pub(super) digest: Digest,
}

/// A place that can be written to.
pub(super) enum Opened {
    Registry(Box<Client>, Reference),
    Layout(LayoutWriter, String),
    Archive {
        writer: LayoutWriter,
        tag: String,
        unfinished: NamedTempFile,
        file: PathBuf,
        guard: Guard,
    },
}

impl FromStr for Place {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |cause: &str| Error::input(format!("push to {text}"), cause);
        for (transport, is_archive) in [("oci:", false), ("oci-archive:", true)] {
            if let Some(rest) = text.strip_prefix(transport) {
                return layout(rest, is_archive).ok_or_else(|| wrong("a path or a tag is missing"));
            }
        }
        let name = text.strip_prefix("docker://").unwrap_or(text);
        let reference: Reference = name.parse().map_err(|cause: pintle_registry::Error| {
            wrong(&format!("{cause}; or oci:DIR[:TAG], or oci-archive:FILE[:TAG]"))
        })?;
        match (reference.tag(), reference.digest()) {
            (Some(_), None) => Ok(Self::Registry(reference)),
            _ => Err(wrong("expected a tag: HOST/REPOSITORY:TAG")),
        }
    }
}

fn layout(rest: &str, is_archive: bool) -> Option<Place> {
    let (path, tag) = rest.split_once(':').unwrap_or((rest, TAG));
    if path.is_empty() || tag.is_empty() {
        return None;
    }
    let (path, tag) = (PathBuf::from(path), tag.to_owned());
    Some(match is_archive {
        true => Place::Archive { file: path, tag },
        false => Place::Layout { directory: path, tag },
    })
}

impl Place {
    /// Its name, if it is in a registry.
    pub fn reference(&self) -> Option<&Reference> {
        match self {
            Self::Registry(reference) => Some(reference),
            Self::Layout { .. } | Self::Archive { .. } => None,
        }
    }

    pub(super) fn open(&self, settings: Settings) -> Result<Opened> {
        match self {
            Self::Registry(reference) => {
                let client = Client::new(settings).map_err(|cause| explain(&cause))?;
                Ok(Opened::Registry(Box::new(client), reference.clone()))
            }
            Self::Layout { directory, tag } => {
                let writer = LayoutWriter::directory(directory).map_err(of_transfer)?;
                Ok(Opened::Layout(writer, tag.clone()))
            }
            Self::Archive { file, tag } => archive(file, tag),
        }
    }
}

fn archive(file: &Path, tag: &str) -> Result<Opened> {
    let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let unfinished = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")));
    let unfinished = unfinished.attempt(|| format!("write {}", file.display()))?;
    let guard = Guard::file(unfinished.path());
    let handle = unfinished.as_file().try_clone();
    let handle = handle.attempt(|| format!("write {}", file.display()))?;
    let writer = LayoutWriter::archive(handle).map_err(of_transfer)?;
    Ok(Opened::Archive { writer, tag: tag.to_owned(), unfinished, file: file.to_owned(), guard })
}

impl Opened {
    /// What the tag names now.
    pub(super) fn tagged(&mut self) -> Result<Option<Tagged>> {
        match self {
            Self::Registry(client, reference) => match client.manifest(reference, None) {
                Ok(Answer::Manifest { bytes, media_type, digest, .. }) => {
                    Ok(Some(Tagged { bytes, media_type, digest }))
                }
                Ok(Answer::Unchanged) => Ok(None),
                Err(cause) if cause.is_missing() => Ok(None),
                Err(cause) => Err(explain(&cause)),
            },
            Self::Layout(writer, tag) => {
                let Some((media_type, blob)) = writer.tagged(tag).map_err(of_transfer)? else {
                    return Ok(None);
                };
                let bytes = writer.document(&blob, MAX_INDEX).map_err(of_transfer)?;
                Ok(Some(Tagged { bytes, media_type, digest: blob.digest }))
            }
            Self::Archive { .. } => Ok(None),
        }
    }

    /// A manifest that is there.
    pub(super) fn manifest(&mut self, blob: &Blob) -> Result<Vec<u8>> {
        match self {
            Self::Registry(client, reference) => {
                match client.manifest(&reference.with_digest(blob.digest), None) {
                    Ok(Answer::Manifest { bytes, .. }) => Ok(bytes),
                    Ok(Answer::Unchanged) => Err(Error::input("read a manifest", "it is not sent")),
                    Err(cause) => Err(explain(&cause)),
                }
            }
            Self::Layout(..) | Self::Archive { .. } => self.document(blob),
        }
    }

    /// A small blob that is there.
    pub(super) fn document(&mut self, blob: &Blob) -> Result<Vec<u8>> {
        match self {
            Self::Registry(client, reference) => {
                client.blob(reference, of(blob)).map_err(|cause| explain(&cause))
            }
            Self::Layout(writer, _) | Self::Archive { writer, .. } => {
                writer.document(blob, MAX_INDEX).map_err(of_transfer)
            }
        }
    }

    /// Whether a blob is there.
    pub(super) fn has(&mut self, blob: &Blob) -> Result<bool> {
        match self {
            Self::Registry(client, reference) => {
                client.has_blob(reference, blob.digest).map_err(|cause| explain(&cause))
            }
            Self::Layout(writer, _) | Self::Archive { writer, .. } => Ok(writer.has(blob)),
        }
    }

    /// Puts a blob there; `progress` is told how many of its bytes are.
    pub(super) fn put_blob(
        &mut self,
        blob: &Blob,
        content: &mut (impl Read + Seek),
        progress: &mut dyn FnMut(u64),
    ) -> Result<()> {
        match self {
            Self::Registry(client, reference) => client
                .upload(reference, of(blob), content, progress)
                .map_err(|cause| explain(&cause)),
            Self::Layout(writer, _) | Self::Archive { writer, .. } => {
                writer.blob(blob, content).map_err(of_transfer)?;
                progress(blob.size);
                Ok(())
            }
        }
    }

    /// Puts a manifest there, by its digest.
    pub(super) fn put_document(&mut self, media_type: &str, bytes: &[u8]) -> Result<()> {
        let blob = Blob { digest: Digest::of(bytes), size: bytes.len() as u64 };
        match self {
            Self::Registry(client, reference) => {
                let reference = reference.with_digest(blob.digest);
                let put = client.put_manifest(&reference, media_type, bytes);
                put.map(drop).map_err(|cause| explain(&cause))
            }
            Self::Layout(..) | Self::Archive { .. } => {
                self.put_blob(&blob, &mut Cursor::new(bytes), &mut |_| {})
            }
        }
    }

    /// Has the tag name this index.
    pub(super) fn put_tag(mut self, index: &[u8]) -> Result<()> {
        let blob = Blob { digest: Digest::of(index), size: index.len() as u64 };
        if !matches!(self, Self::Registry(..)) {
            self.put_document(INDEX, index)?;
        }
        match self {
            Self::Registry(mut client, reference) => {
                let put = client.put_manifest(&reference, INDEX, index);
                put.map(drop).map_err(|cause| explain(&cause))
            }
            Self::Layout(writer, tag) => writer.finish(&tag, &blob).map_err(of_transfer),
            Self::Archive { writer, tag, unfinished, file, guard } => {
                writer.finish(&tag, &blob).map_err(of_transfer)?;
                publish(unfinished, &file)?;
                drop(guard);
                Ok(())
            }
        }
    }
}

/// Readable by all, as other files of a release are.
fn publish(unfinished: NamedTempFile, file: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let write = || -> std::io::Result<File> {
        unfinished.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
        unfinished.persist(file).map_err(|error| error.error)
    };
    write().map(drop).attempt(|| format!("write {}", file.display()))
}

fn of(blob: &Blob) -> RegistryBlob {
    RegistryBlob { digest: blob.digest, size: blob.size }
}

/// A kind of document that a tag can name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Index,
    Manifest,
}

impl Kind {
    /// Of this media type, OCI's or docker's.
    pub(super) fn of(media_type: &str) -> Option<Self> {
        match media_type {
            INDEX | "application/vnd.docker.distribution.manifest.list.v2+json" => {
                Some(Self::Index)
            }
            MANIFEST | "application/vnd.docker.distribution.manifest.v2+json" => {
                Some(Self::Manifest)
            }
            _ => None,
        }
    }
}
