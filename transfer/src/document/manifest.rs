use std::collections::BTreeSet;
use std::str::FromStr;

use pintle_verify::verity::Geometry;
use pintle_verify::{Digest, Seal};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::descriptor::Descriptor;
use super::{
    DELTA, DELTA_FROM, DELTA_INSTEAD_OF, IMAGE, MANIFEST, MAX_MANIFEST, RELEASE, SEAL, SEEK_TABLE,
    TREE, json,
};
use crate::frames::SeekTable;
use crate::{Blob, Error};

/// A machine looks for its own image among them; a builder has no more old releases at hand.
const MAX_DELTAS: usize = 16;

/// The kinds of layers of this version, and room for those of a later one.
const MAX_LAYERS: usize = 64;

/// What a seal has at most.
const MAX_SEAL: u64 = 4096;

/// A release as a registry has it: its seal, and the blobs that its files are made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReleaseManifest {
    /// The file `seal`, 1 to 4096 bytes.
    pub seal: Blob,
    /// The file `root.tree`.
    pub tree: Blob,
    /// The file `root.img`, in frames.
    pub image: ImageLayer,
    /// Other ways to `root.img`, at most 16, each from another image.
    pub deltas: Vec<DeltaLayer>,
}

/// An image in frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ImageLayer {
    /// Frames, then their table.
    pub blob: Blob,
    /// Where the table begins, in bytes of the blob.
    pub seek_table: u64,
}

/// What makes an image out of an older one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeltaLayer {
    /// The delta.
    pub blob: Blob,
    /// The older image's root hash.
    pub from: Digest,
    /// Bytes that a machine that has the older image alone would fetch without the delta, as the builder
    /// counted them.
    pub instead_of: Option<u64>,
}

impl ReleaseManifest {
    /// Reads a manifest of at most 64 KiB. Layers of unknown kinds are for machines of a later version, and
    /// left out.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let document = json::parse(bytes, MAX_MANIFEST).map_err(wrong)?;
        check_kind(&document)?;
        let manifest: Manifest =
            serde_json::from_value(document).map_err(|cause| wrong(cause.to_string()))?;
        manifest.check()?;
        Ok(Self {
            seal: manifest.config.blob(),
            tree: one(&manifest.layers, TREE)?.blob(),
            image: image(one(&manifest.layers, IMAGE)?)?,
            deltas: deltas(&manifest.layers)?,
        })
    }

    /// Writes the manifest: the same bytes for the same content.
    pub fn to_bytes(&self) -> Vec<u8> {
        let ImageLayer { blob, seek_table } = self.image;
        let files = [
            Descriptor::new(TREE, self.tree),
            Descriptor::new(IMAGE, blob).annotated(SEEK_TABLE, seek_table),
        ];
        let manifest = Manifest {
            schema_version: 2,
            media_type: MANIFEST.to_owned(),
            artifact_type: RELEASE.to_owned(),
            config: Descriptor::new(SEAL, self.seal),
            layers: files.into_iter().chain(self.deltas.iter().map(delta_descriptor)).collect(),
        };
        serde_json::json!(manifest).to_string().into_bytes()
    }

    /// Refuses sizes that cannot be those of the seal's image.
    pub fn check(&self, seal: &Seal) -> Result<(), Error> {
        let geometry = Geometry::of_image(seal.image_size)?;
        if self.tree.size != geometry.tree_size() {
            return Err(wrong("its tree is not of the size that follows from the seal"));
        }
        if self.image.seek_table > frames_bound(seal.image_size) {
            return Err(wrong("its frames are larger than the seal's image"));
        }
        let table = self.image.blob.size.saturating_sub(self.image.seek_table);
        if !SeekTable::sizes(geometry.data_blocks()).contains(&table) {
            return Err(wrong("its seek table is not of a size that follows from the seal"));
        }
        if self.deltas.iter().any(|delta| delta.blob.size > frames_bound(seal.image_size)) {
            return Err(wrong("a delta is larger than the seal's image"));
        }
        Ok(())
    }
}

/// zstd stores what it cannot compress and adds less than this; a frame of one block too.
fn frames_bound(image_size: u64) -> u64 {
    image_size + image_size / 128 + 4096
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u64,
    media_type: String,
    artifact_type: String,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

impl Manifest {
    fn check(&self) -> Result<(), Error> {
        if self.schema_version != 2 || self.media_type != MANIFEST {
            return Err(wrong("it is no OCI image manifest"));
        }
        if self.artifact_type != RELEASE {
            return Err(wrong(format!("its artifactType is {:?}", self.artifact_type)));
        }
        if self.config.media_type != SEAL {
            return Err(wrong(format!("its config is {:?}", self.config.media_type)));
        }
        if !(1..=MAX_SEAL).contains(&self.config.size) {
            return Err(wrong(format!("a seal of {} bytes", self.config.size)));
        }
        if self.layers.len() > MAX_LAYERS {
            return Err(wrong("it has too many layers"));
        }
        Ok(())
    }
}

/// An index taken for a manifest, and the other way round, is CVE-2021-41190.
fn check_kind(document: &Value) -> Result<(), Error> {
    if document.get("manifests").is_some() {
        return Err(wrong("it is an index"));
    }
    if document.get("artifactType").is_none() {
        return Err(wrong("it has no artifactType: it is a container image"));
    }
    Ok(())
}

fn one<'l>(layers: &'l [Descriptor], kind: &str) -> Result<&'l Descriptor, Error> {
    let mut found = layers.iter().filter(|layer| layer.media_type == kind);
    match (found.next(), found.next()) {
        (Some(layer), None) if layer.size > 0 => Ok(layer),
        (Some(_), None) => Err(wrong(format!("an empty layer {kind}"))),
        (Some(_), Some(_)) => Err(wrong(format!("two layers {kind}"))),
        (None, _) => Err(wrong(format!("no layer {kind}"))),
    }
}

fn image(layer: &Descriptor) -> Result<ImageLayer, Error> {
    let seek_table = number(layer, SEEK_TABLE)?.filter(|at| (1..layer.size).contains(at));
    let seek_table = seek_table.ok_or_else(|| wrong("its image has no seek table"))?;
    Ok(ImageLayer { blob: layer.blob(), seek_table })
}

fn deltas(layers: &[Descriptor]) -> Result<Vec<DeltaLayer>, Error> {
    let deltas = layers.iter().filter(|layer| layer.media_type == DELTA);
    let deltas: Vec<DeltaLayer> = deltas.map(delta).collect::<Result<_, _>>()?;
    if deltas.len() > MAX_DELTAS {
        return Err(wrong("it has too many deltas"));
    }
    let sources: BTreeSet<_> = deltas.iter().map(|delta| delta.from).collect();
    if sources.len() < deltas.len() {
        return Err(wrong("two deltas are from the same image"));
    }
    Ok(deltas)
}

fn delta(layer: &Descriptor) -> Result<DeltaLayer, Error> {
    let from = layer.annotation(DELTA_FROM).and_then(|hex| format!("sha256:{hex}").parse().ok());
    let from = from.ok_or_else(|| wrong("a delta does not say from which image"))?;
    if layer.size == 0 {
        return Err(wrong("an empty delta"));
    }
    Ok(DeltaLayer { blob: layer.blob(), from, instead_of: number(layer, DELTA_INSTEAD_OF)? })
}

fn delta_descriptor(delta: &DeltaLayer) -> Descriptor {
    let descriptor = Descriptor::new(DELTA, delta.blob).annotated(DELTA_FROM, delta.from.hex());
    match delta.instead_of {
        Some(bytes) => descriptor.annotated(DELTA_INSTEAD_OF, bytes),
        None => descriptor,
    }
}

/// An annotation that is a decimal number, in its one form.
fn number(layer: &Descriptor, key: &str) -> Result<Option<u64>, Error> {
    let Some(text) = layer.annotation(key) else { return Ok(None) };
    match u64::from_str(text) {
        Ok(number) if number.to_string() == text => Ok(Some(number)),
        _ => Err(wrong(format!("{key} is {text:?}"))),
    }
}

fn wrong(cause: impl Into<String>) -> Error {
    Error::Document { what: "release manifest", cause: cause.into() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn blob(size: u64) -> Blob {
        Blob { digest: Digest::of(&size.to_le_bytes()), size }
    }

    fn manifest() -> ReleaseManifest {
        let delta =
            |size, instead_of| DeltaLayer { blob: blob(size), from: Digest::of(&[1]), instead_of };
        let other = DeltaLayer { from: Digest::of(&[2]), ..delta(600, None) };
        ReleaseManifest {
            seal: blob(300),
            tree: blob(8192),
            image: ImageLayer { blob: blob(5017), seek_table: 4992 },
            deltas: vec![delta(500, Some(3000)), other],
        }
    }

    fn document() -> Value {
        serde_json::from_slice(&manifest().to_bytes()).unwrap()
    }

    #[test]
    fn manifest_and_back() {
        assert_eq!(ReleaseManifest::parse(&manifest().to_bytes()).unwrap(), manifest());
    }

    #[test]
    fn layers_of_a_later_version_are_left_out() {
        let mut later = document();
        let layers = later["layers"].as_array_mut().unwrap();
        layers
            .push(json!({"mediaType": "x", "size": 1, "digest": Digest::of(b""), "data": "eA=="}));
        later["subject"] = json!({"a": 1});
        let bytes = later.to_string();
        assert_eq!(ReleaseManifest::parse(bytes.as_bytes()).unwrap(), manifest());
    }

    #[test]
    fn documents_that_are_no_release_manifest_are_refused() {
        let container = json!({"schemaVersion": 2, "config": {}, "layers": []});
        let index = json!({"schemaVersion": 2, "manifests": [], "artifactType": RELEASE});
        let other = json!(format!("sha512:{}", "0".repeat(128)));
        let duplicate = document()["layers"][0].clone();
        for (pointer, value, expected) in [
            ("", container, "container image"),
            ("", index, "an index"),
            ("", json!(1), "container image"),
            ("/artifactType", json!("application/other"), "artifactType"),
            ("/artifactType", json!(null), "null"),
            ("/mediaType", json!(super::super::INDEX), "no OCI image manifest"),
            ("/schemaVersion", json!(1), "no OCI image manifest"),
            ("/config/mediaType", json!("application/vnd.oci.empty.v1+json"), "its config is"),
            ("/config/size", json!(0), "seal of 0"),
            ("/config/size", json!(4097), "seal of 4097"),
            ("/config/digest", json!(""), "sha256:"),
            ("/config/digest", other.clone(), "sha256:"),
            ("/layers/0/digest", other, "sha256:"),
            ("/layers/0/digest", json!(null), "null"),
            ("/layers/0/size", json!(-4096), "invalid"),
            ("/layers/0/size", json!(0), "empty layer"),
            ("/layers/1", duplicate, "two layers"),
            ("/layers/1/mediaType", json!("x"), "no layer"),
            ("/layers/1/annotations", json!({}), "no seek table"),
            ("/layers/1/annotations/org.pintle.seek-table", json!("0"), "no seek table"),
            ("/layers/1/annotations/org.pintle.seek-table", json!("5017"), "no seek table"),
            ("/layers/1/annotations/org.pintle.seek-table", json!("+1"), "seek-table is"),
            ("/layers/1/annotations/org.pintle.seek-table", json!("-1"), "seek-table is"),
            ("/layers/1/annotations/org.pintle.seek-table", json!(1), "invalid"),
            ("/layers/2/annotations/org.pintle.delta-from", json!("00"), "from which image"),
            ("/layers/2/annotations", json!({}), "from which image"),
            ("/layers/2/size", json!(0), "empty delta"),
            ("/layers", json!({}), "invalid"),
        ] {
            let mut changed = document();
            *changed.pointer_mut(pointer).unwrap() = value;
            let error = ReleaseManifest::parse(changed.to_string().as_bytes()).unwrap_err();
            assert!(error.to_string().contains(expected), "{pointer}: {error}");
        }
    }

    #[test]
    fn too_many_layers_and_deltas_are_refused() {
        let delta = document()["layers"][2].clone();
        for (count, expected) in
            [(1, "same image"), (MAX_DELTAS, "too many deltas"), (70, "layers")]
        {
            let mut changed = document();
            let layers = changed["layers"].as_array_mut().unwrap();
            layers.extend(vec![delta.clone(); count]);
            let error = ReleaseManifest::parse(changed.to_string().as_bytes()).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
        let long = vec![b' '; MAX_MANIFEST + 1];
        assert!(ReleaseManifest::parse(&long).unwrap_err().to_string().contains("longer"));
    }
}
