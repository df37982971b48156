//! The OCI image layout (image-layout.md): index to manifest to configuration and layers, each held
//! to its digest.

use std::cell::Cell;
use std::fs::File;
use std::path::{Path, PathBuf};

use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
use pintle_verify::Digest;

use super::archive::Archive;
use super::document::{self, Config, DOCUMENT_MAX, DocumentFault};
use super::select::{Documents, Platform, choose};
use super::{Image, Options, docker};
use crate::error::{Attempt, Error, Result};
use crate::layer::{self, Blob, Layer};
use crate::spool::Spool;

/// What makes a directory a layout.
pub(super) const LAYOUT: &str = "oci-layout";

/// Documents that are looked at to find the image: with limits on each index, this is one on all of
/// them.
const DOCUMENTS_MAX: usize = 1024;

/// Reads an image from a directory in the layout.
pub(super) fn read_directory(
    directory: &Path,
    tag: Option<&str>,
    spool: &Spool,
    options: &Options<'_>,
) -> Result<Image> {
    Layout::new(Files::Directory(directory.to_owned())).read(tag, spool, options)
}

/// Reads an image from a tar of such a directory.
pub(super) fn read_archive(
    file: &Path,
    tag: Option<&str>,
    spool: &Spool,
    options: &Options<'_>,
) -> Result<Image> {
    let archive = Archive::open(file)?;
    archive.check_kind(LAYOUT, docker::MANIFEST, "docker-archive")?;
    Layout::new(Files::Archive(archive)).read(tag, spool, options)
}

/// Merges the layers that `config` and `blobs` agree on.
pub(super) fn assemble(
    config: Config,
    layers: &[Layer],
    spool: &Spool,
    options: &Options<'_>,
) -> Result<Image> {
    let platform = Platform { os: config.os, architecture: config.architecture };
    if !platform.is(options.architecture) {
        let cause = format!("it is for {platform}, not for linux/{}", options.architecture);
        return Err(Error::input("use the image", cause));
    }
    let tree = layer::merge(layers, spool, options.limits, options.progress)?;
    Ok(Image { tree, manifest: None, created: config.created, labels: config.labels })
}

/// Says how many layers there are, if it is not as many as the configuration says.
pub(super) fn check_layer_count(layers: usize, diff_ids: usize) -> Result<()> {
    if layers == diff_ids {
        return Ok(());
    }
    let cause = format!("{layers} layers, and {diff_ids} diff_ids in the configuration");
    Err(Error::input("use the image", cause))
}

struct Layout {
    files: Files,
    documents: Cell<usize>,
}

enum Files {
    Directory(PathBuf),
    Archive(Archive),
}

impl Layout {
    fn new(files: Files) -> Self {
        Self { files, documents: Cell::new(0) }
    }

    fn read(&self, tag: Option<&str>, spool: &Spool, options: &Options<'_>) -> Result<Image> {
        let layout = self.top()?;
        let chosen = choose(&layout, tag, options.architecture, self)?
            .map_err(|refusal| Error::input("choose an image", refusal))?;
        let manifest = self.manifest(&chosen)?;
        let config = self.config(&manifest)?;
        check_layer_count(manifest.layers().len(), config.diff_ids.len())?;
        let layers = manifest
            .layers()
            .iter()
            .zip(&config.diff_ids)
            .map(|(descriptor, diff_id)| self.layer(descriptor, *diff_id))
            .collect::<Result<Vec<_>>>()?;
        let image = assemble(config, &layers, spool, options)?;
        Ok(Image { manifest: Some(digest_of(&chosen)?), ..image })
    }

    /// `index.json` is what the layout's owner vouches for: nothing states its digest.
    fn top(&self) -> Result<ImageIndex> {
        read_whole(&self.files.open(LAYOUT)?, LAYOUT)?;
        let bytes = read_whole(&self.files.open("index.json")?, "index.json")?;
        document::index(&bytes).map_err(|cause| Error::input("read index.json", cause))
    }

    fn manifest(&self, descriptor: &Descriptor) -> Result<ImageManifest> {
        self.document(descriptor, "manifest", document::manifest)
    }

    fn config(&self, manifest: &ImageManifest) -> Result<Config> {
        self.document(manifest.config(), "configuration", document::config)
    }

    fn layer(&self, descriptor: &Descriptor, diff_id: Digest) -> Result<Layer> {
        let digest = digest_of(descriptor)?;
        let compression = document::compression(descriptor)
            .map_err(|cause| Error::input(format!("read layer {digest}"), cause))?;
        let blob = self.blob(descriptor, digest)?;
        Ok(Layer { blob, digest: Some(digest), compression, diff_id })
    }

    fn document<T>(
        &self,
        descriptor: &Descriptor,
        what: &str,
        parse: fn(&[u8]) -> Result<T, DocumentFault>,
    ) -> Result<T> {
        let digest = digest_of(descriptor)?;
        let action = format!("read {what} {digest}");
        self.documents.set(self.documents.get() + 1);
        if self.documents.get() > DOCUMENTS_MAX {
            let cause = DocumentFault::TooMany { what: "documents", limit: DOCUMENTS_MAX };
            return Err(Error::input(action, cause));
        }
        let bytes = read_whole(&self.blob(descriptor, digest)?, &format!("{what} {digest}"))?;
        match Digest::of(&bytes) {
            found if found == digest => parse(&bytes).map_err(|cause| Error::input(action, cause)),
            found => Err(Error::input(action, format!("its bytes are those of {found}"))),
        }
    }

    fn blob(&self, descriptor: &Descriptor, digest: Digest) -> Result<Blob> {
        let blob = self.files.open(&format!("blobs/sha256/{}", digest.hex()))?;
        if blob.length == descriptor.size() {
            return Ok(blob);
        }
        let cause = format!("{} bytes, its descriptor says {}", blob.length, descriptor.size());
        Err(Error::input(format!("read blob {digest}"), cause))
    }
}

impl Documents for Layout {
    fn index(&self, descriptor: &Descriptor) -> Result<ImageIndex> {
        self.document(descriptor, "index", document::index)
    }

    fn platform(&self, descriptor: &Descriptor) -> Result<Option<Platform>> {
        let manifest = self.manifest(descriptor)?;
        if !document::is_image(&manifest) {
            return Ok(None);
        }
        let Config { os, architecture, .. } = self.config(&manifest)?;
        Ok(Some(Platform { os, architecture }))
    }
}

impl Files {
    fn open(&self, name: &str) -> Result<Blob> {
        match self {
            Self::Archive(archive) => archive.member(name),
            Self::Directory(directory) => {
                let path = directory.join(name);
                File::open(&path)
                    .and_then(Blob::whole)
                    .attempt(|| format!("open {}", path.display()))
            }
        }
    }
}

/// Reads a document whole, unless it is too long for one.
pub(super) fn read_whole(blob: &Blob, name: &str) -> Result<Vec<u8>> {
    let action = || format!("read {name}");
    if blob.length > DOCUMENT_MAX {
        let cause = format!("{} bytes, the limit is {DOCUMENT_MAX}", blob.length);
        return Err(Error::input(action(), cause));
    }
    blob.head(DOCUMENT_MAX).attempt(action)
}

fn digest_of(descriptor: &Descriptor) -> Result<Digest> {
    let text = descriptor.digest().as_ref();
    document::digest(text).map_err(|cause| Error::input(format!("read blob {text}"), cause))
}
