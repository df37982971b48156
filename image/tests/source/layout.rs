//! OCI image layouts made document by document, so that every one of them can lie.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use pintle_image::layer::Limits;
use pintle_image::progress::Silent;
use pintle_image::source::{Options, Source};
use pintle_image::spool::Spool;
use pintle_verify::{Architecture, Digest};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::outcome::Outcome;
use crate::tarball::{Member, tar};

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// A layout in a temporary directory.
pub(crate) struct Layout {
    directory: TempDir,
}

impl Layout {
    /// Without an image.
    pub(crate) fn new() -> Self {
        let layout = Self { directory: tempfile::tempdir().unwrap() };
        fs::create_dir_all(layout.path().join("blobs/sha256")).unwrap();
        layout.write("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
        layout.set_index(&[]);
        layout
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn blob_path(&self, digest: Digest) -> PathBuf {
        self.path().join("blobs/sha256").join(digest.hex())
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path().join(name), bytes).unwrap();
    }

    /// Stores bytes and describes them.
    pub(crate) fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes);
        fs::write(self.blob_path(digest), bytes).unwrap();
        json!({"mediaType": media_type, "digest": digest.to_string(), "size": bytes.len()})
    }

    pub(crate) fn document(&self, media_type: &str, document: &Value) -> Value {
        self.blob(media_type, document.to_string().as_bytes())
    }

    pub(crate) fn config(&self, architecture: &str, diff_ids: &[Digest]) -> Value {
        let diff_ids: Vec<_> = diff_ids.iter().map(Digest::to_string).collect();
        let config = json!({
            "architecture": architecture, "os": "linux", "created": "2024-01-02T03:04:05Z",
            "config": {"Labels": {"of": architecture}},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        self.document(CONFIG, &config)
    }

    pub(crate) fn manifest(&self, config: &Value, layers: &[Value]) -> Value {
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers,
        });
        self.document(MANIFEST, &manifest)
    }

    pub(crate) fn index(&self, manifests: &[Value]) -> Value {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        self.document(INDEX, &index)
    }

    /// An image of one layer, compressed in one of three ways.
    pub(crate) fn image(&self, architecture: &str, packing: Packing, members: &[Member]) -> Value {
        let bytes = tar(members.to_vec());
        let layer = self.blob(packing.media_type(), &packing.pack(&bytes));
        self.manifest(&self.config(architecture, &[Digest::of(&bytes)]), &[layer])
    }

    pub(crate) fn set_index(&self, manifests: &[Value]) {
        let index = json!({"schemaVersion": 2, "manifests": manifests});
        self.write("index.json", index.to_string().as_bytes());
    }

    pub(crate) fn source(&self) -> Source {
        Source::Oci { directory: self.path().to_owned(), tag: None }
    }

    pub(crate) fn tagged(&self, tag: &str) -> Source {
        Source::Oci { directory: self.path().to_owned(), tag: Some(tag.to_owned()) }
    }
}

/// How a layer is packed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Packing {
    Plain,
    Gzip,
    Zstd,
    /// What docker calls gzip.
    Docker,
}

impl Packing {
    pub(crate) const ALL: [Self; 4] = [Self::Plain, Self::Gzip, Self::Zstd, Self::Docker];

    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Plain => "application/vnd.oci.image.layer.v1.tar",
            Self::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
            Self::Docker => "application/vnd.docker.image.rootfs.diff.tar.gzip",
        }
    }

    pub(crate) fn pack(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Plain => bytes.to_vec(),
            Self::Zstd => zstd::bulk::compress(bytes, 3).unwrap(),
            Self::Gzip | Self::Docker => {
                let level = flate2::Compression::fast();
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
        }
    }
}

/// A descriptor with one property changed.
pub(crate) fn with(descriptor: &Value, key: &str, value: impl Into<Value>) -> Value {
    let mut changed = descriptor.clone();
    changed[key] = value.into();
    changed
}

pub(crate) fn with_platform(descriptor: &Value, architecture: &str) -> Value {
    with(descriptor, "platform", json!({"architecture": architecture, "os": "linux"}))
}

pub(crate) fn with_tag(descriptor: &Value, tag: &str) -> Value {
    with(descriptor, "annotations", json!({"org.opencontainers.image.ref.name": tag}))
}

/// What a source gives on the architecture of x86.
pub(crate) struct Loaded {
    pub(crate) image: Outcome,
    pub(crate) manifest: Option<Digest>,
    pub(crate) created: Option<u64>,
    pub(crate) labels: Vec<(String, String)>,
}

pub(crate) fn load(source: &Source) -> Result<Loaded, String> {
    load_for(source, Architecture::X86_64)
}

pub(crate) fn load_for(source: &Source, architecture: Architecture) -> Result<Loaded, String> {
    let spool = Spool::within(&std::env::temp_dir()).unwrap();
    let options = Options { architecture, limits: Limits::default(), progress: &Silent };
    let image = source.read(&spool, &options).map_err(|error| error.to_string())?;
    Ok(Loaded {
        image: Outcome { tree: image.tree, spool },
        manifest: image.manifest,
        created: image.created,
        labels: image.labels.into_iter().collect(),
    })
}
