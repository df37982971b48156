//! The documents of a release in a registry: the index of a tag, and the manifest of a release.
//!
//! Both are JSON that anybody may have written, and nothing in them is authenticated: what they name is
//! believed once the seal vouches for it. Sources: the OCI image-spec's `image-index.md` and `manifest.md`.

mod descriptor;
mod index;
mod json;
mod manifest;
mod tags;

pub use descriptor::Platform;
pub use index::{Container, Index};
pub use manifest::{DeltaLayer, ImageLayer, ReleaseManifest};
pub(crate) use tags::find_tag;
#[cfg(feature = "make")]
pub(crate) use tags::{set_tag, tagged};

/// `mediaType` of an image index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// `mediaType` of an image manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// `artifactType` of a release manifest.
pub const RELEASE: &str = "application/vnd.pintle.release.v1";
/// `mediaType` of a release's config, the seal.
pub const SEAL: &str = "application/vnd.pintle.seal.v1";
/// `mediaType` of the layer that is `root.tree`.
pub const TREE: &str = "application/vnd.pintle.tree.v1";
/// `mediaType` of the layer that is `root.img` in frames.
pub const IMAGE: &str = "application/vnd.pintle.image.v1+zstd";
/// `mediaType` of a layer that makes `root.img` out of an older one.
pub const DELTA: &str = "application/vnd.pintle.delta.v1+zstd";
/// Annotation of a release descriptor in an index: the architecture's OCI name.
pub const ARCHITECTURE: &str = "org.pintle.architecture";
/// Annotation of the image layer: where its seek table begins, decimal.
pub const SEEK_TABLE: &str = "org.pintle.seek-table";
/// Annotation of a delta layer: the older image's root hash, in hexadecimal digits.
pub const DELTA_FROM: &str = "org.pintle.delta-from";
/// Annotation of a delta layer: bytes that a machine that has the older image alone would fetch without
/// the delta, decimal.
pub const DELTA_INSTEAD_OF: &str = "org.pintle.delta-instead-of";

/// A release manifest of 16 deltas has 6 KiB.
pub const MAX_MANIFEST: usize = 64 << 10;

/// What registries take at most.
pub const MAX_INDEX: usize = 4 << 20;

/// Reads a small document of another kind.
pub(crate) fn parse_json(bytes: &[u8]) -> Result<serde_json::Value, String> {
    json::parse(bytes, MAX_MANIFEST)
}
