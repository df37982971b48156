//! The JSON documents of OCI's image-spec: what may be in them, and how much.

use std::collections::BTreeMap;
use std::fmt;

use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest, MediaType};
use pintle_verify::Digest;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::layer::Compression;

/// Longer documents are not read; registries and containers/image have the same limit.
pub const DOCUMENT_MAX: u64 = 4 << 20;

/// Several times what any builder makes: docker stops at 127.
const LAYERS_MAX: usize = 512;

/// Several times the platforms that exist.
const MANIFESTS_MAX: usize = 1024;

/// What is wrong with a document.
#[derive(Debug)]
pub enum DocumentFault {
    /// Not JSON, or not of the shape that the specification gives.
    Json(serde_json::Error),
    /// It is of another type than the descriptor that led to it says.
    Type(&'static str),
    /// A value that the specification does not allow, or that is beyond what is supported here.
    Value {
        /// Which property.
        what: &'static str,
        /// What it holds.
        found: String,
    },
    /// More elements than are read.
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
}

impl fmt::Display for DocumentFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(cause) => write!(f, "{cause}"),
            Self::Type(what) => f.write_str(what),
            Self::Value { what, found } => write!(f, "{what} {found} is not supported"),
            Self::TooMany { what, limit } => write!(f, "more than {limit} {what}"),
        }
    }
}

impl std::error::Error for DocumentFault {}

type Result<T> = std::result::Result<T, DocumentFault>;

/// What a descriptor's media type says that it leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// An index of manifests.
    Index,
    /// An image's manifest.
    Manifest,
    /// Neither.
    Other,
}

impl Target {
    /// Of this media type, OCI's or docker's.
    pub fn of(media_type: &MediaType) -> Self {
        match media_type.as_ref() {
            "application/vnd.oci.image.index.v1+json"
            | "application/vnd.docker.distribution.manifest.list.v2+json" => Self::Index,
            "application/vnd.oci.image.manifest.v1+json"
            | "application/vnd.docker.distribution.manifest.v2+json" => Self::Manifest,
            _ => Self::Other,
        }
    }
}

/// Reads an index. That it is one was said by the descriptor that led to it, or by its name in the
/// layout.
pub fn index(bytes: &[u8]) -> Result<ImageIndex> {
    check_shape(bytes, Target::Index)?;
    let index: ImageIndex = json(bytes)?;
    check_count(index.manifests(), MANIFESTS_MAX, "manifests")?;
    Ok(index)
}

/// Reads a manifest, which its descriptor says it is.
pub fn manifest(bytes: &[u8]) -> Result<ImageManifest> {
    check_shape(bytes, Target::Manifest)?;
    let manifest: ImageManifest = json(bytes)?;
    check_count(manifest.layers(), LAYERS_MAX, "layers")?;
    Ok(manifest)
}

/// What an image's configuration says, as far as it counts here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Operating system, as Go calls it.
    pub os: String,
    /// Architecture, as Go calls it.
    pub architecture: String,
    /// Seconds since 1970.
    pub created: Option<u64>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// What the layers hash to uncompressed, the lowest first.
    pub diff_ids: Vec<Digest>,
}

/// Reads a configuration.
pub fn config(bytes: &[u8]) -> Result<Config> {
    let config: ImageConfiguration = json(bytes)?;
    let diff_ids = config.rootfs().diff_ids();
    check_count(diff_ids, LAYERS_MAX, "diff_ids")?;
    let labels = config.config().as_ref().and_then(|config| config.labels().clone());
    Ok(Config {
        os: config.os().to_string(),
        architecture: config.architecture().to_string(),
        created: config.created().as_deref().map(seconds).transpose()?,
        labels: labels.unwrap_or_default().into_iter().collect(),
        diff_ids: diff_ids.iter().map(|id| digest(id)).collect::<Result<_>>()?,
    })
}

/// Whether a manifest is an image's, and not another artifact's.
pub fn is_image(manifest: &ImageManifest) -> bool {
    matches!(
        manifest.config().media_type().as_ref(),
        "application/vnd.oci.image.config.v1+json"
            | "application/vnd.docker.container.image.v1+json"
    )
}

/// How the layer behind a descriptor is compressed.
pub fn compression(layer: &Descriptor) -> Result<Compression> {
    match layer.media_type().as_ref() {
        "application/vnd.oci.image.layer.v1.tar"
        | "application/vnd.oci.image.layer.nondistributable.v1.tar"
        | "application/vnd.docker.image.rootfs.diff.tar" => Ok(Compression::None),
        "application/vnd.oci.image.layer.v1.tar+gzip"
        | "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
        | "application/vnd.docker.image.rootfs.diff.tar.gzip"
        | "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" => Ok(Compression::Gzip),
        "application/vnd.oci.image.layer.v1.tar+zstd"
        | "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"
        | "application/vnd.docker.image.rootfs.diff.tar.zstd" => Ok(Compression::Zstd),
        other => Err(value("layer type", other)),
    }
}

/// A digest as text; only SHA-256 is taken.
pub fn digest(text: &str) -> Result<Digest> {
    text.parse().map_err(|_| value("digest", text))
}

/// What `docker save` writes beside the layers, one element an image.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Saved {
    /// The configuration's path in the archive.
    pub config: String,
    /// The image's names.
    pub repo_tags: Option<Vec<String>>,
    /// The layers' paths in the archive, the lowest first.
    pub layers: Vec<String>,
}

/// Reads a docker archive's `manifest.json`.
pub fn saved(bytes: &[u8]) -> Result<Vec<Saved>> {
    let images: Vec<Saved> = json(bytes)?;
    images.iter().try_for_each(|image| check_count(&image.layers, LAYERS_MAX, "layers"))?;
    Ok(images)
}

/// The properties that tell an index from a manifest. CVE-2021-41190: one document that is both
/// would be either one, as the reader likes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: u32,
    media_type: Option<String>,
    manifests: Option<IgnoredAny>,
    config: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
}

fn check_shape(bytes: &[u8], target: Target) -> Result<()> {
    let shape: Shape = json(bytes)?;
    if shape.schema_version != 2 {
        return Err(value("schemaVersion", shape.schema_version));
    }
    let stated = shape.media_type.map(|text| Target::of(&MediaType::from(text.as_str())));
    if stated.is_some_and(|stated| stated != target) {
        return Err(DocumentFault::Type("its mediaType is not what its descriptor says"));
    }
    match (target, shape.manifests, shape.config, shape.layers) {
        (Target::Index, Some(_), None, None) | (Target::Manifest, None, Some(_), Some(_)) => Ok(()),
        _ => Err(DocumentFault::Type("it is not an index or a manifest, or both at once")),
    }
}

fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(DocumentFault::Json)
}

fn check_count<T>(elements: &[T], limit: usize, what: &'static str) -> Result<()> {
    if elements.len() <= limit { Ok(()) } else { Err(DocumentFault::TooMany { what, limit }) }
}

fn seconds(created: &str) -> Result<u64> {
    OffsetDateTime::parse(created, &Rfc3339)
        .ok()
        .and_then(|time| time.unix_timestamp().try_into().ok())
        .ok_or_else(|| value("created", created))
}

fn value(what: &'static str, found: impl ToString) -> DocumentFault {
    DocumentFault::Value { what, found: found.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESCRIPTOR: &str = r#"{"mediaType": "application/vnd.oci.image.config.v1+json", "size": 2,
        "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}"#;

    fn manifest_with(more: &str) -> Result<ImageManifest> {
        let text =
            format!(r#"{{"schemaVersion": 2, "config": {DESCRIPTOR}, "layers": [] {more}}}"#);
        manifest(text.as_bytes())
    }

    fn index_with(more: &str) -> Result<ImageIndex> {
        index(format!(r#"{{"schemaVersion": 2, "manifests": [{DESCRIPTOR}] {more}}}"#).as_bytes())
    }

    #[test]
    fn a_document_is_an_index_or_a_manifest() {
        assert!(manifest_with("").is_ok());
        assert!(index_with("").is_ok());
        assert!(manifest_with(r#", "manifests": []"#).is_err());
        assert!(index_with(r#", "layers": []"#).is_err());
        assert!(index_with(&format!(r#", "config": {DESCRIPTOR}"#)).is_err());
        assert!(index(b"{\"schemaVersion\": 2}").is_err());
        assert!(manifest(b"[]").is_err());
    }

    #[test]
    fn a_document_is_of_the_type_that_led_to_it() {
        let index_type = r#", "mediaType": "application/vnd.oci.image.index.v1+json""#;
        let manifest_type =
            r#", "mediaType": "application/vnd.docker.distribution.manifest.v2+json""#;
        assert!(manifest_with(manifest_type).is_ok());
        assert!(manifest_with(index_type).is_err());
        assert!(index_with(index_type).is_ok());
        assert!(index_with(manifest_type).is_err());
    }

    #[test]
    fn lists_have_limits() {
        let many = vec![DESCRIPTOR; LAYERS_MAX + 1].join(",");
        let text = format!(r#"{{"schemaVersion": 2, "config": {DESCRIPTOR}, "layers": [{many}]}}"#);
        let fault = manifest(text.as_bytes()).unwrap_err();
        assert_eq!(fault.to_string(), "more than 512 layers");
    }

    fn config_with(created: &str, diff_ids: &str) -> Result<Config> {
        let text = format!(
            r#"{{"os": "linux", "architecture": "amd64", "created": {created},
                "config": {{"Labels": {{"a": "b"}}}},
                "rootfs": {{"type": "layers", "diff_ids": [{diff_ids}]}}}}"#
        );
        config(text.as_bytes())
    }

    #[test]
    fn a_configuration_says_when_and_what_and_of_which_layers() {
        let id = Digest::of(b"layer");
        let config = config_with(r#""2024-02-29T12:00:00.5+01:00""#, &format!("\"{id}\""));
        let config = config.unwrap();
        assert_eq!((config.os.as_str(), config.architecture.as_str()), ("linux", "amd64"));
        assert_eq!(config.created, Some(1_709_204_400));
        assert_eq!(config.labels, BTreeMap::from([("a".into(), "b".into())]));
        assert_eq!(config.diff_ids, [id]);
        assert_eq!(config_with("null", "").unwrap().created, None);
    }

    #[test]
    fn values_that_are_none() {
        for created in [r#""yesterday""#, r#""1969-12-31T23:59:59Z""#, r#""2024-02-30T12:00:00Z""#]
        {
            assert!(config_with(created, "").is_err(), "{created}");
        }
        for id in [r#""sha256:44""#, r#""sha512:00""#, r#""""#, r#""md5:0""#, r#""../../etc""#] {
            assert!(config_with("null", id).is_err(), "{id}");
        }
    }
}
